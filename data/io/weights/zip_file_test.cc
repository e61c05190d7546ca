#include "retort/data/io/weights/zip_file.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/weights/testing_files.h"

namespace retort::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

absl::StatusOr<ZipFile> OpenBytes(const std::string& bytes) {
  const std::string path = ::testing::TempDir() + "/test.zip";
  const absl::Status written = WriteFileAtomically(path, bytes);
  if (!written.ok()) return written;
  return ZipFile::Open(path);
}

std::string Text(const ZipRecord* record) {
  return record == nullptr ? "none" : std::string(record->bytes.begin(), record->bytes.end());
}

const std::vector<ZipEntry>& Entries() {
  static const std::vector<ZipEntry> entries = {{"a", "first"}, {"folder/b", ""}, {"c", "third"}};
  return entries;
}

class ZipFileTest : public ::testing::TestWithParam<ZipEnd> {};

TEST_P(ZipFileTest, FindsItsRecords) {
  const auto zip = OpenBytes(MakeZip(Entries(), GetParam()));
  ASSERT_TRUE(zip.ok()) << zip.status();
  ASSERT_EQ(zip->records().size(), 3u);
  EXPECT_EQ(zip->records()[1].name, "folder/b");
  for (const ZipEntry& entry : Entries()) {
    ASSERT_EQ(Text(zip->Find(entry.name)), entry.bytes);
    EXPECT_TRUE(zip->Verify(*zip->Find(entry.name)).ok());
  }
  EXPECT_EQ(zip->Find("b"), nullptr);
  EXPECT_EQ(zip->Find(""), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Ends, ZipFileTest,
                         ::testing::Values(ZipEnd{.zip64 = false}, ZipEnd{.zip64 = true},
                                           ZipEnd{.zip64 = true, .zip64_fields = true},
                                           ZipEnd{.zip64 = false, .comment = "a comment, with PK\x05\x06 in it"}));

TEST(ZipFileTest, ReadsAnArchiveOfNothing) {
  const auto zip = OpenBytes(MakeZip({}));
  ASSERT_TRUE(zip.ok()) << zip.status();
  EXPECT_EQ(zip->records().size(), 0u);
}

TEST(ZipFileTest, AWrongCrcIsNamedAndNoneIsAccepted) {
  const auto zip = OpenBytes(MakeZip({{.name = "right", .bytes = "x"},
                                      {.name = "wrong", .bytes = "x", .crc32 = 1},
                                      {.name = "none", .bytes = "x", .crc32 = 0}}));
  ASSERT_TRUE(zip.ok()) << zip.status();
  EXPECT_TRUE(zip->Verify(*zip->Find("right")).ok());
  EXPECT_TRUE(zip->Verify(*zip->Find("none")).ok());
  const absl::Status status = zip->Verify(*zip->Find("wrong"));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("\"wrong\""), HasSubstr(zip->path())));
}

// Faults of archives are in hostile_files_test.cc.

}  // namespace
}  // namespace retort::data
