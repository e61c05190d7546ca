#include "retort/pipelines/store/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace retort::pipelines {
namespace {

// For what must not fail in a test.
long Must(long result, const char* what) {
  if (result == -1) {
    perror(what);
    abort();
  }
  return result;
}

pid_t Start(bool traced, const std::function<int()>& body) {
  const pid_t child = fork();
  if (Must(child, "fork") != 0) return child;
  if (traced) {
    Must(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr), "ptrace");
    raise(SIGSTOP);
  }
  _exit(body());
}

bool ChangesFiles(const user_regs_struct& call) {
  switch (call.orig_rax) {
    case SYS_open:
      return (call.rsi & O_CREAT) != 0;
    case SYS_openat:
      return (call.rdx & O_CREAT) != 0;
    case SYS_write:
    case SYS_pwrite64:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_ftruncate:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_mkdir:
    case SYS_mkdirat:
      return true;
    default:
      return false;
  }
}

// Lets the child go on to the next start or end of a system call; false where it has ended.
bool Step(pid_t child, ChildEnd* end) {
  int signal = 0;
  while (true) {
    Must(ptrace(PTRACE_SYSCALL, child, nullptr, signal), "ptrace");
    int status = 0;
    Must(waitpid(child, &status, 0), "waitpid");
    if (WIFEXITED(status)) {
      end->exit_code = WEXITSTATUS(status);
      return false;
    }
    if (WIFSIGNALED(status)) return false;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return true;
    signal = WSTOPSIG(status);
  }
}

ChildEnd Trace(int call, bool kill_it, int error_number, const std::function<int()>& body) {
  ChildEnd end;
  const pid_t child = Start(/*traced=*/true, body);
  Must(waitpid(child, nullptr, 0), "waitpid");
  Must(ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), "ptrace");
  int seen = -1;
  while (Step(child, &end)) {
    user_regs_struct registers;
    Must(ptrace(PTRACE_GETREGS, child, nullptr, &registers), "ptrace");
    if (kill_it || ChangesFiles(registers)) ++seen;
    const bool chosen = seen == call && !end.interrupted && (kill_it || ChangesFiles(registers));
    if (chosen && kill_it) {
      Must(kill(child, SIGKILL), "kill");
      int status = 0;
      Must(waitpid(child, &status, 0), "waitpid");
      end.interrupted = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      return end;
    }
    if (chosen) {
      registers.orig_rax = static_cast<unsigned long long>(-1);  // no such call
      Must(ptrace(PTRACE_SETREGS, child, nullptr, &registers), "ptrace");
    }
    if (!Step(child, &end)) break;
    if (chosen) {
      Must(ptrace(PTRACE_GETREGS, child, nullptr, &registers), "ptrace");
      registers.rax = static_cast<unsigned long long>(-error_number);
      Must(ptrace(PTRACE_SETREGS, child, nullptr, &registers), "ptrace");
      end.interrupted = true;
    }
  }
  return end;
}

}  // namespace

ChildEnd RunInChild(const std::function<int()>& body) {
  ChildEnd end;
  int status = 0;
  Must(waitpid(Start(/*traced=*/false, body), &status, 0), "waitpid");
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  return end;
}

ChildEnd RunAndKill(int call, const std::function<int()>& body) { return Trace(call, /*kill_it=*/true, 0, body); }

ChildEnd RunAndFail(int call, int error_number, const std::function<int()>& body) {
  return Trace(call, /*kill_it=*/false, error_number, body);
}

}  // namespace retort::pipelines
