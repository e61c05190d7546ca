// Other programs, for tests that drive a real binary.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace retort::testing {

// Where a program or file of this workspace lies while a test runs: RunfilePath("pipelines/distill") of a `data`
// dependency.
std::string RunfilePath(const std::string& path);

struct Finished {
  int exit_code = -1;  // -1 if a signal ended it
  int signal = 0;      // that signal, or 0
  std::string out;
  std::string err;
};

// A program that runs beside the test. Its output goes to files, so it never waits for a reader.
class Subprocess {
 public:
  // arguments[0] is the path of the program. `environment` ("NAME=value") is added to the test's own.
  explicit Subprocess(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {});
  // Ends the program if it still runs.
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  void Signal(int signal) const;
  bool Running();
  // What it has written to standard error so far.
  std::string ErrorOutput() const;
  Finished Wait();

 private:
  pid_t pid_;
  bool reaped_ = false;
  int wait_status_ = 0;
  std::string out_path_;
  std::string err_path_;
};

// Starts it and waits for its end.
Finished RunProgram(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {});

}  // namespace retort::testing
