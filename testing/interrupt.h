// For tests: a function in a process of its own that is killed, or whose system calls fail, at any chosen one of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace retort::testing {

struct ChildEnd {
  bool interrupted = false;  // the chosen system call was reached
  int exit_code = -1;        // what the function returned; -1 where the process was killed
};

// Runs `body` in a child process to its end.
ChildEnd RunInChild(const std::function<int()>& body);

// Kills the child with SIGKILL instead of its system call number `call`, from 0.
ChildEnd RunAndKill(int call, const std::function<int()>& body);

// Lets system call number `call`, from 0, fail with `error_number`, counting only those that change files: open for
// writing, write, fsync, truncate, rename, mkdir.
ChildEnd RunAndFail(int call, int error_number, const std::function<int()>& body);

// What `body` does that decides whether its files outlive a loss of power: "flush PATH" for each fsync, "rename PATH
// PATH", in order.
std::vector<std::string> FlushesAndRenames(const std::function<int()>& body);

}  // namespace retort::testing
