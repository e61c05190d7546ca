#include "retort/pipelines/progress/event_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/testing/new_folder.h"

namespace retort::pipelines {
namespace {

using ::testing::HasSubstr;

// The check sum as RFC 3720 defines it, a bit at a time.
uint32_t MaskedCrc(absl::string_view bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool odd = ((crc ^ (static_cast<uint8_t>(byte) >> bit)) & 1) != 0;
      crc = (crc >> 1) ^ (odd ? 0x82F63B78 : 0);
    }
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

// Payloads of the records; the file is nothing else.
std::vector<std::string> Records(const std::string& path) {
  const std::string bytes = data::ReadFile(path).value();
  std::vector<std::string> records;
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t length = 0;
    uint32_t length_crc = 0, payload_crc = 0;
    if (bytes.size() - at < 16) {
      ADD_FAILURE() << "a torn record at " << at;
      break;
    }
    std::memcpy(&length, &bytes[at], 8);
    std::memcpy(&length_crc, &bytes[at + 8], 4);
    EXPECT_EQ(length_crc, MaskedCrc(absl::string_view(bytes).substr(at, 8)));
    if (bytes.size() - at - 16 < length) {
      ADD_FAILURE() << "a torn record at " << at;
      break;
    }
    records.push_back(bytes.substr(at + 12, length));
    std::memcpy(&payload_crc, &bytes[at + 12 + length], 4);
    EXPECT_EQ(payload_crc, MaskedCrc(records.back()));
    at += 16 + length;
  }
  return records;
}

TEST(EventFileTest, BytesOfRecords) {
  const std::string folder = absl::StrCat(retort::testing::NewFolder(), "/a/b");
  const auto file = EventFile::Create(folder, 300);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(absl::StartsWith((*file)->path(), absl::StrCat(folder, "/events.out.tfevents.")));
  ASSERT_TRUE((*file)->AddScalars(301, 1.5, {{"ab", 0.25}, {"c", -2}}).ok());
  // Complete after every call.
  const std::vector<std::string> records = Records((*file)->path());
  ASSERT_EQ(records.size(), 3u);
  // Wire format: field 1 as a double is 0x09 and 8 bytes, field 2 as a number is 0x10; 300 is AC 02.
  EXPECT_EQ(records[0].substr(9),
            "\x1A\x0D"
            "brain.Event:2");
  EXPECT_EQ(records[1].substr(9), std::string("\x10\xAC\x02\x3A\x02\x08\x01", 7));
  EXPECT_EQ(records[2], std::string("\x09\0\0\0\0\0\0\xF8\x3F"  // wall_time 1.5
                                    "\x10\xAD\x02"              // step 301
                                    "\x2A\x15"                  // summary, 21 bytes
                                    "\x0A\x09\x0A\x02"
                                    "ab"
                                    "\x15\0\0\x80\x3E"
                                    "\x0A\x08\x0A\x01"
                                    "c"
                                    "\x15\0\0\0\xC0",
                                    35));
}

TEST(EventFileTest, EverySessionHasAFileBehindTheEarlierOnes) {
  const std::string folder = retort::testing::NewFolder();
  std::string before;
  for (int session = 0; session < 5; ++session) {
    const auto file = EventFile::Create(folder, session);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_GT((*file)->path(), before);
    before = (*file)->path();
  }
  // Where the clock of another machine was ahead.
  std::ofstream(absl::StrCat(folder, "/events.out.tfevents.9000000000.host.1.0")) << "";
  std::ofstream(absl::StrCat(folder, "/events.out.tfevents.none")) << "";
  const auto file = EventFile::Create(folder, 5);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->path(), absl::StrCat(folder, "/events.out.tfevents.9000000001.retort"));
}

TEST(EventFileTest, RefusesWhatIsNoPoint) {
  const std::string folder = retort::testing::NewFolder();
  EXPECT_TRUE(absl::IsInvalidArgument(EventFile::Create(folder, -1).status()));
  const auto file = EventFile::Create(folder, 0).value();
  EXPECT_TRUE(absl::IsInvalidArgument(file->AddScalars(-1, 0, {{"a", 1}})));
  EXPECT_TRUE(absl::IsInvalidArgument(file->AddScalars(0, 0, {{"a", 1}, {"", 1}})));
  EXPECT_TRUE(file->AddScalars(0, 0, {}).ok());
  EXPECT_EQ(Records(file->path()).size(), 2u);
}

TEST(EventFileTest, NamesTheFolderThatCannotBe) {
  const std::string folder = retort::testing::NewFolder();
  std::ofstream(absl::StrCat(folder, "/file")) << "";
  const absl::Status status = EventFile::Create(absl::StrCat(folder, "/file"), 0).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(folder, "/file")));
}

// A limit on the size of files stands for a full disk.
TEST(EventFileTest, TakesNoMoreBehindATornRecord) {
  const auto file = EventFile::Create(retort::testing::NewFolder(), 0).value();
  struct stat before;
  ASSERT_EQ(stat(file->path().c_str(), &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit full = {static_cast<rlim_t>(before.st_size) + 10, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status torn = file->AddScalars(0, 0, {{"a", 1}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(torn)) << torn;
  EXPECT_EQ(file->AddScalars(1, 0, {{"a", 1}}), torn);
  struct stat after;
  ASSERT_EQ(stat(file->path().c_str(), &after), 0);
  EXPECT_EQ(after.st_size, before.st_size + 10);
}

}  // namespace
}  // namespace retort::pipelines
