#include "retort/data/sources/cifar.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/testing/new_folder.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kBatchBytes10 = 30730000;  // as published
constexpr int64_t kTestBytes100 = 30740000;
constexpr int64_t kTrainBytes100 = 153700000;

// Labels, then red 1, green 2, blue 3, except the first pixel of the second row, which is red 7, green 8, blue 9.
std::string Record(const std::string& labels) {
  std::string record = labels + std::string(1024, 1) + std::string(1024, 2) + std::string(1024, 3);
  for (size_t c = 0; c < 3; ++c) record[labels.size() + 1024 * c + 32] = static_cast<char>(7 + c);
  return record;
}

TEST(CifarRecordsTest, PlanesBecomePixels) {
  std::vector<uint8_t> images;
  std::vector<int64_t> labels;
  ASSERT_TRUE(AppendCifarRecords(Record("\x03"), Cifar::k10, "a", &images, &labels).ok());
  ASSERT_TRUE(
      AppendCifarRecords(Record("\x09") + Record(std::string(1, '\0')), Cifar::k10, "b", &images, &labels).ok());
  EXPECT_THAT(labels, ElementsAre(3, 9, 0));
  ASSERT_EQ(images.size(), 3u * 3072u);
  for (size_t i = 0; i < images.size(); ++i) {
    const size_t expected = i % 3072 / 3 == 32 ? 7 + i % 3 : 1 + i % 3;
    ASSERT_EQ(images[i], expected) << i;
  }
}

TEST(CifarRecordsTest, Cifar100HasACoarseAndAFineLabel) {
  for (const auto& [which, label] : {std::make_pair(Cifar::k100Coarse, 19), std::make_pair(Cifar::k100Fine, 99)}) {
    std::vector<uint8_t> images;
    std::vector<int64_t> labels;
    ASSERT_TRUE(AppendCifarRecords(Record("\x13\x63"), which, "a", &images, &labels).ok());
    EXPECT_THAT(labels, ElementsAre(label));
    EXPECT_EQ(images[0], 1);
  }
}

TEST(CifarRecordsTest, NoRecords) {
  std::vector<uint8_t> images;
  std::vector<int64_t> labels;
  EXPECT_TRUE(AppendCifarRecords("", Cifar::k10, "a", &images, &labels).ok());
  EXPECT_THAT(images, IsEmpty());
}

TEST(CifarRecordsTest, DamageIsNamed) {
  struct Case {
    std::string name;
    std::string records;
    Cifar which;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{
           {"short by a byte", Record("\x03").substr(1), Cifar::k10, "batch.bin has 3072 bytes"},
           {"records of the other set", Record("\x03\x03"), Cifar::k10, "no whole number of records of 3073"},
           {"label 10", Record("\x01") + Record("\x0a"), Cifar::k10, "record 1 has label 10, not in [0, 10)"},
           {"label 255", Record("\xff"), Cifar::k10, "label 255"},
           {"coarse label 20", Record("\x14\x01"), Cifar::k100Fine, "label 20, not in [0, 20)"},
           {"fine label 100", Record("\x01\x64"), Cifar::k100Coarse, "label 100, not in [0, 100)"},
       }) {
    std::vector<uint8_t> images;
    std::vector<int64_t> labels;
    const absl::Status status = AppendCifarRecords(c.records, c.which, "batch.bin", &images, &labels);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.name;
  }
}

// A data folder of each test's own.
class CifarTest : public ::testing::Test {
 protected:
  // A file that starts with `start` and is zero up to `size`; zeros take no room on disk.
  void Put(const std::string& name, const std::string& start, int64_t size) {
    const std::string path = folder_ + "/" + name;
    ASSERT_TRUE(MakeDirectories(path.substr(0, path.rfind('/'))).ok());
    std::ofstream(path, std::ios::binary) << start;
    ASSERT_EQ(truncate(path.c_str(), size), 0);
  }

  void PutFolder10() {
    for (int i = 1; i <= 5; ++i) {
      const std::string label(1, static_cast<char>(i));
      Put(absl::StrCat("cifar-10-batches-bin/data_batch_", i, ".bin"), Record(label), kBatchBytes10);
    }
    Put("cifar-10-batches-bin/test_batch.bin", Record("\x09"), kBatchBytes10);
  }

  struct Entry {
    std::string name;
    std::string start;
    int64_t size;
    mode_t type = AE_IFREG;
  };

  void PutArchive(const std::string& name, const std::vector<Entry>& entries) {
    archive* const writer = archive_write_new();
    archive_write_add_filter_gzip(writer);
    archive_write_set_options(writer, "compression-level=1");
    archive_write_set_format_pax_restricted(writer);
    ASSERT_EQ(archive_write_open_filename(writer, (folder_ + "/" + name).c_str()), ARCHIVE_OK);
    const std::string zeros(1 << 20, '\0');
    for (const Entry& e : entries) {
      archive_entry* const entry = archive_entry_new();
      archive_entry_set_pathname(entry, e.name.c_str());
      archive_entry_set_filetype(entry, e.type);
      archive_entry_set_perm(entry, 0644);
      archive_entry_set_size(entry, e.size);
      if (e.type == AE_IFLNK) archive_entry_set_symlink(entry, "/etc/passwd");
      ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK) << archive_error_string(writer);
      archive_write_data(writer, e.start.data(), e.start.size());
      for (int64_t done = static_cast<int64_t>(e.start.size()); done < e.size;) {
        const auto count = static_cast<size_t>(std::min<int64_t>(e.size - done, 1 << 20));
        ASSERT_GT(archive_write_data(writer, zeros.data(), count), 0);
        done += static_cast<int64_t>(count);
      }
      archive_entry_free(entry);
    }
    ASSERT_EQ(archive_write_close(writer), ARCHIVE_OK);
    archive_write_free(writer);
  }

  const std::string folder_ = retort::testing::NewFolder();
};

// Official sizes make these tests slow, so each reads them as few times as it can.
TEST_F(CifarTest, FolderAndArchiveGiveTheSame10) {
  PutFolder10();
  const std::string names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
  Put("cifar-10-batches-bin/batches.meta.txt", names, static_cast<int64_t>(names.size()));
  const auto splits = ReadCifar10(folder_);
  ASSERT_TRUE(splits.ok()) << splits.status();
  EXPECT_EQ(splits->name, "cifar10");
  EXPECT_EQ(splits->train.size, 50000);
  EXPECT_EQ(splits->test.size, 10000);
  EXPECT_EQ(splits->train.height, 32);
  EXPECT_EQ(splits->train.width, 32);
  EXPECT_EQ(splits->train.channels, 3);
  // Batches keep their order.
  for (const size_t i : {1, 2, 3, 4, 5}) EXPECT_EQ(splits->train.labels[10000 * (i - 1)], static_cast<int64_t>(i));
  EXPECT_EQ(splits->test.labels[0], 9);
  EXPECT_EQ(splits->test.images[2], 3);
  EXPECT_THAT(splits->train.class_names, ElementsAre("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"));
  const auto digest = CifarSourceDigest(folder_, Cifar::k10);
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(digest->size(), 64u);

  // Unexpected entries, hostile ones among them, are passed over.
  std::vector<Entry> entries = {{"cifar-10-batches-bin/", "", 0, AE_IFDIR},
                                {"cifar-10-batches-bin/batches.meta.txt", names, static_cast<int64_t>(names.size())},
                                {"cifar-10-batches-bin/readme.html", "<html>", 6},
                                {"../../escape.bin", "x", 1},
                                {"/test_batch.bin", "x", 1},
                                {"cifar-10-batches-bin/../test_batch.bin", "x", 1},
                                {"cifar-10-batches-bin/test_batch.bin", "", 0, AE_IFLNK}};
  for (int i = 1; i <= 5; ++i) {
    const std::string label(1, static_cast<char>(i));
    entries.push_back({absl::StrCat("cifar-10-batches-bin/data_batch_", i, ".bin"), Record(label), kBatchBytes10});
  }
  entries.push_back({"cifar-10-batches-bin/test_batch.bin", Record("\x09"), kBatchBytes10});
  SetUp();
  PutArchive("cifar-10-binary.tar.gz", entries);
  const auto from_archive = ReadCifar10(folder_);
  ASSERT_TRUE(from_archive.ok()) << from_archive.status();
  EXPECT_EQ(from_archive->train.images, splits->train.images);
  EXPECT_EQ(from_archive->train.labels, splits->train.labels);
  EXPECT_EQ(from_archive->test.images, splits->test.images);
  EXPECT_EQ(CifarSourceDigest(folder_, Cifar::k10).value(), *digest);
}

TEST_F(CifarTest, Reads100) {
  Put("cifar-100-binary/train.bin", Record("\x13\x63"), kTrainBytes100);
  Put("cifar-100-binary/test.bin", Record("\x01\x02"), kTestBytes100);
  const auto fine = ReadCifar100(folder_, /*fine=*/true);
  ASSERT_TRUE(fine.ok()) << fine.status();
  EXPECT_EQ(fine->name, "cifar100");
  EXPECT_EQ(fine->train.size, 50000);
  EXPECT_EQ(fine->test.size, 10000);
  EXPECT_EQ(fine->train.labels[0], 99);
  EXPECT_EQ(fine->train.class_names.size(), 100u);
  EXPECT_EQ(fine->train.class_names[99], "worm");
  const auto coarse = ReadCifar100(folder_, /*fine=*/false);
  ASSERT_TRUE(coarse.ok()) << coarse.status();
  EXPECT_EQ(coarse->test.labels[0], 1);
  EXPECT_EQ(coarse->test.class_names.size(), 20u);
  EXPECT_EQ(coarse->test.class_names[19], "vehicles_2");
}

TEST_F(CifarTest, Defaults10AndDigestOfAnotherPixel) {
  PutFolder10();
  const std::string digest = CifarSourceDigest(folder_, Cifar::k10).value();
  Put("cifar-10-batches-bin/data_batch_3.bin", Record("\x04"), kBatchBytes10);
  EXPECT_NE(CifarSourceDigest(folder_, Cifar::k10).value(), digest);
  EXPECT_EQ(ReadCifar10(folder_).value().train.class_names[9], "truck");
}

TEST_F(CifarTest, ClassNamesThatCannotBeAreDataLoss) {
  PutFolder10();
  const std::string names = "a\nb\n";
  Put("cifar-10-batches-bin/batches.meta.txt", names, 4);
  const absl::Status few = ReadCifar10(folder_).status();
  EXPECT_EQ(few.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(few.message()), HasSubstr("batches.meta.txt names 2 classes"));

  Put("cifar-10-batches-bin/batches.meta.txt", names, 1 << 20);
  const absl::Status long_file = ReadCifar10(folder_).status();
  EXPECT_EQ(long_file.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(long_file.message()), HasSubstr("too many for class names"));
}

TEST_F(CifarTest, MissingDataSaysWhatToDo) {
  for (const auto& [status, dataset, folder] :
       {std::make_tuple(ReadCifar10(folder_).status(), "cifar10", "cifar-10-batches-bin/"),
        std::make_tuple(ReadCifar100(folder_, true).status(), "cifar100", "cifar-100-binary/"),
        std::make_tuple(CifarSourceDigest(folder_, Cifar::k10).status(), "cifar10", "cifar-10-binary.tar.gz")}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(status.message()), HasSubstr(folder));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("./bazelw run //tools:fetch -- --dataset=", dataset, " --data_dir=", folder_)));
  }

  Put("cifar-10-batches-bin/test_batch.bin", "", kBatchBytes10);
  const absl::Status half = ReadCifar10(folder_).status();
  EXPECT_EQ(half.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(half.message()), HasSubstr("data_batch_1.bin is missing"));
  EXPECT_THAT(std::string(half.message()), HasSubstr("//tools:fetch"));
}

TEST_F(CifarTest, WrongSizeIsDataLoss) {
  PutFolder10();
  for (const int64_t size : {int64_t{0}, kBatchBytes10 - 3073, kBatchBytes10 + 1, int64_t{1} << 42}) {
    Put("cifar-10-batches-bin/data_batch_4.bin", "", size);
    const absl::Status status = ReadCifar10(folder_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("data_batch_4.bin has ", size, " bytes, but the official file has 30730000")));
  }
}

TEST_F(CifarTest, HostileArchivesAreRefused) {
  struct Case {
    std::string name;
    std::vector<Entry> entries;
    std::string message;
  };
  const std::string test = "cifar-10-batches-bin/test_batch.bin";
  const std::string names = "cifar-10-batches-bin/batches.meta.txt";
  for (const Case& c : std::vector<Case>{
           {"empty", {}, "lacks cifar-10-batches-bin/data_batch_1.bin"},
           {"wrong size", {{test, "x", 1}}, "has 1 bytes, but the official file has 30730000"},
           {"twice", {{names, "a", 1}, {names, "b", 1}}, "is there twice"},
           {"a link for a file", {{test, "", 0, AE_IFLNK}}, "lacks"},
           {"names too long", {{names, "", 70000}}, "too many for class names"},
       }) {
    PutArchive("cifar-10-binary.tar.gz", c.entries);
    const absl::Status status = ReadCifar10(folder_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << c.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("cifar-10-binary.tar.gz")) << c.name;
  }
}

// A tar header that claims a file of `size`, in base 256, with the right checksum.
std::string TarHeader(const std::string& name, int64_t size) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  header.replace(100, 7, "0000644");
  header[124] = '\x80';
  for (size_t i = 0; i < 8; ++i) header[135 - i] = static_cast<char>(size >> (8 * i) & 0xff);
  header[156] = '0';
  header.replace(257, 5, "ustar");
  header.replace(263, 2, "00");
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<uint8_t>(c);
  header.replace(148, 8, absl::StrFormat("%06o%c ", sum, '\0'));
  return header;
}

TEST_F(CifarTest, DamagedArchivesAreRefused) {
  PutArchive("cifar-10-binary.tar.gz", {{"cifar-10-batches-bin/test_batch.bin", "", kBatchBytes10}});
  const std::string sound = ReadFile(folder_ + "/cifar-10-binary.tar.gz").value();
  for (const std::string& bytes :
       {std::string(), std::string("\x1f\x8b"), std::string(100000, 'x'), sound.substr(0, sound.size() / 2),
        sound.substr(0, 300), TarHeader("zeros", int64_t{300} << 20),
        TarHeader("cifar-10-batches-bin/test_batch.bin", std::numeric_limits<int64_t>::max())}) {
    Put("cifar-10-binary.tar.gz", bytes, static_cast<int64_t>(bytes.size()));
    const absl::Status status = ReadCifar10(folder_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << bytes.size() << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("cifar-10-binary.tar.gz"));
  }
}

}  // namespace
}  // namespace retort::data
