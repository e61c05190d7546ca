#include "retort/kd/trainer/checkpoint.h"

#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "ATen/ops/full.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "retort/data/io/file.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/testing/new_folder.h"

namespace retort::kd {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::string Name(int position) { return absl::StrFormat("checkpoint-%012d.safetensors", position); }

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

// Tensors of several types and layouts, all holding functions of `value`.
struct Content {
  explicit Content(int64_t value) : Content(value, static_cast<double>(value)) {}
  Content(int64_t value, double real)
      : tensors({{"a", at::full({2, 3}, real + 0.25).t()},
                 {"b", at::full({3}, value, at::kLong)},
                 {"c", at::full({2}, real / 3, at::kDouble)},
                 {"d", at::full({1, 2, 2, 2}, real).contiguous(at::MemoryFormat::ChannelsLast)}}) {}

  int64_t value() const {
    const int64_t number = tensors[1].second[0].item<int64_t>();
    const Content expected(number);
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!tensors[i].second.equal(expected.tensors[i].second)) return -1;
    }
    return number;
  }

  std::vector<nn::NamedTensor> tensors;
};

class CheckpointTest : public ::testing::Test {
 protected:
  Checkpoints Open(const std::string& identity = "some task") {
    return Checkpoints(folder_, identity, [this](const std::string& warning) { warnings_.push_back(warning); });
  }

  // Value of the newest sound checkpoint; -2 if there is none.
  int64_t LoadValue() {
    Content content(77);
    const auto loaded = Open().Load(content.tensors);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (!loaded.ok() || !*loaded) return -2;
    return content.value();
  }

  void SaveValues(std::vector<int64_t> values) {
    Checkpoints checkpoints = Open();
    for (const int64_t value : values) {
      const absl::Status status = checkpoints.Save(value, Content(value).tensors);
      EXPECT_TRUE(status.ok()) << status;
    }
  }

  const std::string folder_ = retort::testing::NewFolder();
  std::vector<std::string> warnings_;
};

TEST_F(CheckpointTest, NothingToLoad) {
  EXPECT_EQ(LoadValue(), -2);
  std::filesystem::remove(folder_);
  EXPECT_EQ(LoadValue(), -2);
  SaveValues({1});  // makes the folder
  EXPECT_EQ(LoadValue(), 1);
}

TEST_F(CheckpointTest, TwoNewestAreKept) {
  SaveValues({1});
  EXPECT_THAT(FilesIn(folder_), UnorderedElementsAre(Name(1)));
  Checkpoints checkpoints = Open();
  Content content(0);
  ASSERT_TRUE(*checkpoints.Load(content.tensors));
  ASSERT_TRUE(checkpoints.Save(2, Content(2).tensors).ok());
  EXPECT_THAT(FilesIn(folder_), UnorderedElementsAre(Name(1), Name(2)));
  ASSERT_TRUE(checkpoints.Save(10, Content(10).tensors).ok());
  EXPECT_THAT(FilesIn(folder_), UnorderedElementsAre(Name(2), Name(10)));
  EXPECT_EQ(LoadValue(), 10);
  EXPECT_THAT(warnings_, SizeIs(0));
}

TEST_F(CheckpointTest, OnlyOwnFilesAreDeleted) {
  const std::string left_over = ".retort-123-0badcafe.tmp";  // data/io/file.cc
  for (const std::string& name : {std::string("metrics.jsonl"), std::string("checkpoint-notes.txt"), left_over}) {
    ASSERT_TRUE(data::WriteFileAtomically(folder_ + "/" + name, "x").ok());
  }
  SaveValues({1, 2, 3});
  EXPECT_THAT(FilesIn(folder_), UnorderedElementsAre("metrics.jsonl", "checkpoint-notes.txt", Name(2), Name(3)));
}

TEST_F(CheckpointTest, AnotherTrainingIsRefused) {
  SaveValues({1, 2});
  Content content(77);
  const absl::Status status = Open("another task").Load(content.tensors).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr(folder_));
  EXPECT_EQ(content.value(), 77);
}

TEST_F(CheckpointTest, EmptyIdentityIsAnIdentity) {
  ASSERT_TRUE(Open("").Save(1, Content(1).tensors).ok());
  Content content(0);
  EXPECT_TRUE(*Open("").Load(content.tensors));
  EXPECT_EQ(content.value(), 1);
  EXPECT_FALSE(Open("x").Load(content.tensors).ok());
}

// Every single-bit fault of every byte, header and data.
TEST_F(CheckpointTest, AnyFlippedBitIsFoundAndTheOlderOneUsed) {
  SaveValues({1, 2});
  const std::string path = folder_ + "/" + Name(2);
  const std::string sound = *data::ReadFile(path);
  for (size_t i = 0; i < sound.size(); ++i) {
    std::string damaged = sound;
    damaged[i] ^= 1 << (i % 8);
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << damaged;
    warnings_.clear();
    EXPECT_EQ(LoadValue(), 1) << "byte " << i;
    EXPECT_THAT(warnings_, SizeIs(1)) << "byte " << i;
  }
}

TEST_F(CheckpointTest, TornFilesArePassedOver) {
  SaveValues({1, 2});
  const std::string path = folder_ + "/" + Name(2);
  const std::string sound = *data::ReadFile(path);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{100}, sound.size() - 1, sound.size() + 1}) {
    std::string torn = sound;
    torn.resize(size);
    ASSERT_TRUE(data::WriteFileAtomically(path, torn).ok());
    warnings_.clear();
    EXPECT_EQ(LoadValue(), 1) << size;
    ASSERT_THAT(warnings_, SizeIs(1));
    EXPECT_THAT(warnings_[0], HasSubstr(Name(2)));
  }
}

TEST_F(CheckpointTest, DamagedOnesAreDeletedAndSoundOnesOutliveThem) {
  SaveValues({4, 5});
  ASSERT_TRUE(data::WriteFileAtomically(folder_ + "/" + Name(9), "torn").ok());
  Checkpoints checkpoints = Open();
  Content content(0);
  ASSERT_TRUE(*checkpoints.Load(content.tensors));
  EXPECT_EQ(content.value(), 5);
  ASSERT_TRUE(checkpoints.Save(6, Content(6).tensors).ok());
  EXPECT_THAT(FilesIn(folder_), UnorderedElementsAre(Name(5), Name(6)));
}

TEST_F(CheckpointTest, AllDamagedIsAFreshStart) {
  SaveValues({1, 2});
  for (const int position : {1, 2}) {
    ASSERT_TRUE(data::WriteFileAtomically(folder_ + "/" + Name(position), "torn").ok());
  }
  EXPECT_EQ(LoadValue(), -2);
  EXPECT_THAT(warnings_, SizeIs(2));
}

TEST_F(CheckpointTest, OtherTensorsAreRefused) {
  SaveValues({1});
  Content content(77);
  content.tensors.pop_back();
  const absl::Status status = Open().Load(content.tensors).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("\"d\""));
}

// A file that may not grow stands for a full disk.
TEST_F(CheckpointTest, FullDiskKeepsTheOlderOnes) {
  SaveValues({1, 2});
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  const struct rlimit full = {100, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status status = Open().Save(3, Content(3).tensors);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(FilesIn(folder_), UnorderedElementsAre(Name(1), Name(2)));
  EXPECT_EQ(LoadValue(), 2);
}

}  // namespace
}  // namespace retort::kd
