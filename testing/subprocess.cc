#include "retort/testing/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace retort::testing {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string OutputPath(const char* suffix) {
  static std::atomic<int> count{0};
  return absl::StrCat(::testing::TempDir(), "/subprocess_", getpid(), "_", count++, suffix);
}

}  // namespace

std::string RunfilePath(const std::string& path) {
  const char* root = std::getenv("TEST_SRCDIR");
  const char* workspace = std::getenv("TEST_WORKSPACE");
  if (root == nullptr || workspace == nullptr) return path;
  return absl::StrCat(root, "/", workspace, "/", path);
}

Subprocess::Subprocess(const std::vector<std::string>& arguments, const std::vector<std::string>& environment)
    : out_path_(OutputPath(".out")), err_path_(OutputPath(".err")) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ != 0) return;
  for (const std::string& variable : environment) putenv(const_cast<char*>(variable.c_str()));
  const int out = open(out_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err = open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) _exit(127);
  execv(argv[0], argv.data());
  _exit(127);
}

Subprocess::~Subprocess() {
  if (!reaped_) {
    Signal(SIGKILL);
    Wait();
  }
  unlink(out_path_.c_str());
  unlink(err_path_.c_str());
}

void Subprocess::Signal(int signal) const { kill(pid_, signal); }

bool Subprocess::Running() {
  if (!reaped_ && waitpid(pid_, &wait_status_, WNOHANG) == pid_) reaped_ = true;
  return !reaped_;
}

std::string Subprocess::ErrorOutput() const { return Contents(err_path_); }

Finished Subprocess::Wait() {
  if (!reaped_) waitpid(pid_, &wait_status_, 0);
  reaped_ = true;
  Finished finished;
  if (WIFEXITED(wait_status_)) finished.exit_code = WEXITSTATUS(wait_status_);
  if (WIFSIGNALED(wait_status_)) finished.signal = WTERMSIG(wait_status_);
  finished.out = Contents(out_path_);
  finished.err = Contents(err_path_);
  return finished;
}

Finished RunProgram(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
  return Subprocess(arguments, environment).Wait();
}

}  // namespace retort::testing
