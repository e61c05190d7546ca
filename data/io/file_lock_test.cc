#include "retort/data/io/file_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace retort::data {
namespace {

TEST(FileLockTest, IsHeldByOneAtATime) {
  const std::string path = ::testing::TempDir() + "/lock";
  auto first = FileLock::Try(path);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(absl::IsUnavailable(FileLock::Try(path).status()));
  first->reset();
  EXPECT_TRUE(FileLock::Try(path).ok());
}

TEST(FileLockTest, EndsWithItsProcess) {
  const std::string path = ::testing::TempDir() + "/lock_of_a_child";
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FileLock::Try(path);
    _exit(lock.ok() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(FileLock::Try(path).ok());
}

TEST(FileLockTest, NamesAFolderThatIsNotThere) {
  EXPECT_TRUE(absl::IsNotFound(FileLock::Try("/no/such/folder/lock").status()));
}

}  // namespace
}  // namespace retort::data
