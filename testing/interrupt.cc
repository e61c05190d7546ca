#include "retort/testing/interrupt.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace retort::testing {
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

// A child that has stopped before its first own instruction.
pid_t StartTraced(const std::function<int()>& body) {
  const pid_t child = Start(/*traced=*/true, body);
  Must(waitpid(child, nullptr, 0), "waitpid");
  Must(ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), "ptrace");
  return child;
}

ChildEnd Trace(int call, bool kill_it, int error_number, const std::function<int()>& body) {
  ChildEnd end;
  const pid_t child = StartTraced(body);
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

// The path that a register of the child points to.
std::string PathAt(pid_t child, unsigned long long address) {
  char path[PATH_MAX] = {};
  // A path near the end of the child's memory comes back shorter than asked for, which is no error.
  iovec here = {path, sizeof(path) - 1};
  iovec there = {reinterpret_cast<void*>(address), sizeof(path) - 1};
  Must(process_vm_readv(child, &here, 1, &there, 1, 0), "process_vm_readv");
  return path;
}

std::string PathOf(pid_t child, unsigned long long descriptor) {
  const std::string link = "/proc/" + std::to_string(child) + "/fd/" + std::to_string(descriptor);
  char path[PATH_MAX] = {};
  Must(readlink(link.c_str(), path, sizeof(path) - 1), "readlink");
  return path;
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

std::vector<std::string> FlushesAndRenames(const std::function<int()>& body) {
  std::vector<std::string> calls;
  ChildEnd end;
  const pid_t child = StartTraced(body);
  while (Step(child, &end)) {
    user_regs_struct registers;
    Must(ptrace(PTRACE_GETREGS, child, nullptr, &registers), "ptrace");
    if (registers.orig_rax == SYS_fsync) calls.push_back("flush " + PathOf(child, registers.rdi));
    if (registers.orig_rax == SYS_rename) {
      calls.push_back("rename " + PathAt(child, registers.rdi) + " " + PathAt(child, registers.rsi));
    }
    if (!Step(child, &end)) break;
  }
  if (end.exit_code != 0) calls.push_back("failed");
  return calls;
}

}  // namespace retort::testing
