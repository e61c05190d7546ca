#include "retort/data/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/testing/new_folder.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// A new, empty folder for each test.
class FileTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    DIR* folder = opendir(folder_.c_str());
    while (const dirent* entry = readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    closedir(folder);
    return names;
  }

  const std::string folder_ = retort::testing::NewFolder();
};

TEST_F(FileTest, WhatIsWrittenIsRead) {
  const std::string contents("a\0b\n\xff", 5);
  ASSERT_TRUE(WriteFileAtomically(Path("x"), contents).ok());
  EXPECT_EQ(*ReadFile(Path("x")), contents);
  EXPECT_THAT(Names(), UnorderedElementsAre("x"));
}

TEST_F(FileTest, EmptyFile) {
  ASSERT_TRUE(WriteFileAtomically(Path("x"), "").ok());
  EXPECT_EQ(*ReadFile(Path("x")), "");
  EXPECT_TRUE((*MappedFile::Open(Path("x")))->bytes().empty());
}

TEST_F(FileTest, NameOfGreatestLength) {
  const std::string name(255, 'n');
  ASSERT_TRUE(WriteFileAtomically(Path(name), "1").ok());
  EXPECT_THAT(Names(), UnorderedElementsAre(name));
}

TEST_F(FileTest, MapHoldsTheBytesAndOutlivesTheName) {
  ASSERT_TRUE(WriteFileAtomically(Path("x"), "old").ok());
  const auto map = MappedFile::Open(Path("x"));
  ASSERT_TRUE(map.ok());
  ASSERT_TRUE(WriteFileAtomically(Path("x"), "new").ok());
  EXPECT_EQ(std::string((*map)->bytes().begin(), (*map)->bytes().end()), "old");
}

TEST_F(FileTest, PiecesOfAMapAreThePart) {
  std::string bytes(5 << 19, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 24);
  ASSERT_TRUE(WriteFileAtomically(Path("x"), bytes).ok());
  const auto map = MappedFile::Open(Path("x"));
  ASSERT_TRUE(map.ok());
  std::string read;
  std::vector<size_t> sizes;
  (*map)->Read((*map)->bytes().subspan(100, (2 << 20) + 7), [&](absl::Span<const uint8_t> piece) {
    read.append(piece.begin(), piece.end());
    sizes.push_back(piece.size());
  });
  EXPECT_EQ(read, bytes.substr(100, (2 << 20) + 7));
  EXPECT_THAT(sizes, ElementsAre((1 << 20) - 100, 1 << 20, 107));
}

TEST_F(FileTest, ReadsAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "piped", 5), 5);
  close(ends[1]);
  EXPECT_EQ(*ReadFile("/dev/fd/" + std::to_string(ends[0])), "piped");
  close(ends[0]);
}

TEST_F(FileTest, NoCommitLeavesNothing) {
  ASSERT_TRUE(WriteFileAtomically(Path("x"), "old").ok());
  {
    auto file = AtomicFile::Create(Path("x"));
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Append("new").ok());
    EXPECT_EQ(Names().size(), 2);
  }
  EXPECT_EQ(*ReadFile(Path("x")), "old");
  EXPECT_THAT(Names(), UnorderedElementsAre("x"));
}

TEST_F(FileTest, MissingFileIsNamed) {
  for (const absl::Status& status : {ReadFile(Path("gone")).status(), MappedFile::Open(Path("gone")).status(),
                                     WriteFileAtomically(Path("gone/x"), "1")}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path("gone")));
  }
}

TEST_F(FileTest, FolderIsNoFile) {
  EXPECT_EQ(ReadFile(folder_).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(MappedFile::Open(folder_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(WriteFileAtomically(folder_, "1").code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(Names().empty());
}

TEST_F(FileTest, HugeSparseFileIsRefusedBeforeAllocation) {
  const int descriptor = open(Path("x").c_str(), O_CREAT | O_WRONLY, 0666);
  ASSERT_EQ(ftruncate(descriptor, int64_t{1} << 42), 0);
  close(descriptor);
  EXPECT_EQ(ReadFile(Path("x")).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FileTest, CodesOfErrno) {
  struct Case {
    int error_number;
    absl::StatusCode code;
  };
  for (const Case& c :
       {Case{ENOENT, absl::StatusCode::kNotFound}, Case{EACCES, absl::StatusCode::kPermissionDenied},
        Case{EROFS, absl::StatusCode::kPermissionDenied}, Case{ENOSPC, absl::StatusCode::kResourceExhausted},
        Case{EDQUOT, absl::StatusCode::kResourceExhausted}, Case{EIO, absl::StatusCode::kInternal}}) {
    const absl::Status status = ErrnoStatus(c.error_number, "write", "/some/path");
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("write /some/path: "));
  }
}

// For every limit on file size, so at every point of the write, the disk is "full": the old file stays, nothing is
// left.
TEST_F(FileTest, DiskFullKeepsTheOldFile) {
  ASSERT_TRUE(WriteFileAtomically(Path("x"), "old").ok());
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const std::string contents(50000, 'n');
  for (rlim_t limit = 0; limit < contents.size(); limit += 4999) {
    rlimit low = before;
    low.rlim_cur = limit;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    const absl::Status status = WriteFileAtomically(Path("x"), contents);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << limit << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path("x")));
    EXPECT_EQ(*ReadFile(Path("x")), "old");
    EXPECT_THAT(Names(), UnorderedElementsAre("x"));
  }
  ASSERT_TRUE(WriteFileAtomically(Path("x"), contents).ok());
  EXPECT_EQ(*ReadFile(Path("x")), contents);
}

TEST_F(FileTest, MakeDirectories) {
  EXPECT_TRUE(MakeDirectories(Path("a/b//c/")).ok());
  EXPECT_TRUE(MakeDirectories(Path("a/b/c")).ok());
  struct stat info;
  ASSERT_EQ(stat(Path("a/b/c").c_str(), &info), 0);
  EXPECT_TRUE(S_ISDIR(info.st_mode));
  EXPECT_TRUE(SyncDirectory(Path("a/b")).ok());

  ASSERT_TRUE(WriteFileAtomically(Path("file"), "").ok());
  for (const std::string name : {"file", "file/below"}) {
    const absl::Status status = MakeDirectories(Path(name));
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path("file")));
  }
  EXPECT_EQ(MakeDirectories("").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace retort::data
