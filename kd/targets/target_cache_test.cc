#include "retort/kd/targets/target_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/tensor.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/nn/weights.h"
#include "retort/testing/interrupt.h"
#include "retort/testing/new_folder.h"

namespace retort::kd {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kViews = 3, kSamples = 5, kClasses = 4, kShard = 2;
constexpr char kEverything[] = "embedding: true map: 'a' gradient_map: 'b' input_gradient: true precision: ";

config::StoredTargets Parse(const std::string& text) {
  config::StoredTargets contents;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &contents)) << text;
  return contents;
}

at::Tensor Vector(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

// The number at place i of a row of tensor number `which`: different everywhere.
float Number(int which, int64_t view, int64_t image, int64_t i) {
  return static_cast<float>(std::sin(static_cast<double>(which * 1000 + view * 100 + image * 10 + i)) * 8);
}

at::Tensor Rows(int which, int64_t view, const std::vector<int64_t>& images, std::vector<int64_t> shape) {
  shape.insert(shape.begin(), static_cast<int64_t>(images.size()));
  const at::Tensor rows = at::empty(shape);
  const int64_t width = rows.numel() / shape[0];
  for (int64_t r = 0; r < rows.numel(); ++r) {
    rows.mutable_data_ptr<float>()[r] = Number(which, view, images[static_cast<size_t>(r / width)], r % width);
  }
  return rows;
}

Targets TargetsOf(int64_t view, const std::vector<int64_t>& images) {
  Targets targets;
  targets.logits = Rows(0, view, images, {kClasses});
  targets.embedding = Rows(1, view, images, {3});
  targets.maps["a"] = Rows(2, view, images, {2, 2});
  targets.gradients.maps["b"] = Rows(3, view, images, {1, 5});
  targets.gradients.images = Rows(4, view, images, {2, 2, 1});
  return targets;
}

int64_t Label(int64_t image) { return image % kClasses; }

// The shards of all views, each filled image by image.
std::vector<TargetCache::View> Write(const config::StoredTargets& contents, int64_t shard = kShard) {
  const std::string folder = retort::testing::NewFolder();
  std::vector<TargetCache::View> views;
  for (int64_t v = 0; v < kViews; ++v) {
    views.push_back({v, "identity " + std::to_string(v), {}});
    for (int64_t first = 0; first < kSamples; first += shard) {
      const ShardPlace place = {views.back().identity, v, first, std::min(shard, kSamples - first)};
      TargetShardBuilder builder(contents, place);
      for (int64_t image = first; image < first + place.count; ++image) {
        EXPECT_TRUE(builder.Append(TargetsOf(v, {image}), Vector({Label(image)})).ok());
      }
      views.back().shards.push_back(folder + "/" + std::to_string(v) + "-" + std::to_string(first));
      const absl::Status status = builder.Write(views.back().shards.back());
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  return views;
}

TEST(TargetCacheTest, GathersWhatWasPut) {
  for (const int64_t shard : {1, 2, 5, 100}) {
    const config::StoredTargets contents = Parse(std::string(kEverything) + "FP32");
    const auto cache = TargetCache::Open(Write(contents, shard));
    ASSERT_TRUE(cache.ok()) << cache.status();
    EXPECT_EQ(cache->views(), kViews);
    EXPECT_EQ(cache->samples(), kSamples);
    const std::vector<int64_t> views = {2, 0, 2, 1, 0}, images = {4, 0, 0, 3, 0};
    auto targets = cache->Gather(Vector(views), Vector(images), RequestFor(contents));
    ASSERT_TRUE(targets.ok()) << targets.status();
    for (size_t r = 0; r < views.size(); ++r) {
      Targets expected = TargetsOf(views[r], {images[r]});
      for (const std::string& name : TargetNames(RequestFor(contents))) {
        EXPECT_TRUE(TargetOf(*targets, name)[static_cast<int64_t>(r)].equal(TargetOf(expected, name)[0])) << name;
      }
    }
  }
}

TEST(TargetCacheTest, GivesOnlyWhatIsAskedFor) {
  const auto cache = TargetCache::Open(Write(Parse(std::string(kEverything) + "FP16")));
  ASSERT_TRUE(cache.ok()) << cache.status();
  TargetRequest request;
  request.maps = {"a"};
  const auto targets = cache->Gather(Vector({0}), Vector({1}), request);
  ASSERT_TRUE(targets.ok());
  EXPECT_EQ(targets->maps.size(), 1);
  EXPECT_FALSE(targets->logits.defined() || targets->embedding.defined() || targets->gradients.images.defined());
  EXPECT_TRUE(targets->gradients.maps.empty());
  request.maps = {"b"};
  const absl::Status status = cache->Gather(Vector({0}), Vector({1}), request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("map: \"b\""));
}

// The record of TinyViT: ten classes of a hundred in 44 bytes.
TEST(TargetCacheTest, RecordsAreAsSmallAsTheirTypes) {
  const auto bytes = [](const std::string& contents) {
    TargetShardBuilder builder(Parse(contents), {"x", 0, 0, 3});
    Targets targets;
    targets.logits = Rows(0, 0, {0, 1, 2}, {100});
    EXPECT_TRUE(builder.Append(targets, Vector({0, 1, 2})).ok());
    const std::string path = retort::testing::NewFolder() + "/shard";
    EXPECT_TRUE(builder.Write(path).ok());
    const auto file = data::SafetensorsFile::Open(path);
    EXPECT_TRUE(file.ok()) << file.status();
    size_t sum = 0;
    for (const data::TensorView& view : file->tensors()) sum += view.bytes.size();
    return sum / 3;
  };
  EXPECT_EQ(bytes("precision: FP16 top_k: 10"), 44);
  EXPECT_EQ(bytes("precision: FP32"), 400);
  EXPECT_EQ(bytes("precision: BF16"), 200);
  EXPECT_EQ(bytes("precision: INT8"), 108);
}

// In plain loops.
TEST(TargetCacheTest, SaysHowFarStoredTargetsAreFromTheTeachers) {
  for (const char* precision : {"FP32", "INT8"}) {
    const config::StoredTargets contents = Parse(std::string(kEverything) + precision);
    const std::vector<TargetCache::View> views = Write(contents, kSamples);
    const auto facts = CheckShard(views[1].shards[0], {views[1].identity, 1, 0, kSamples});
    ASSERT_TRUE(facts.ok()) << facts.status();
    auto stored = TargetCache::Open(views)->Gather(at::full({kSamples}, 1, at::kLong), Vector({0, 1, 2, 3, 4}),
                                                   RequestFor(contents));
    ASSERT_TRUE(stored.ok());
    double kl[2] = {0, 0}, error = 0;
    int64_t correct = 0;
    for (int64_t image = 0; image < kSamples; ++image) {
      Targets exact = TargetsOf(1, {image});
      for (const int i : {0, 1}) {
        const double t = i == 0 ? 1 : 4;
        double p_sum = 0, q_sum = 0;
        for (int64_t k = 0; k < kClasses; ++k) {
          p_sum += std::exp(exact.logits[0][k].item<double>() / t);
          q_sum += std::exp(stored->logits[image][k].item<double>() / t);
        }
        for (int64_t k = 0; k < kClasses; ++k) {
          const double p = exact.logits[0][k].item<double>() / t - std::log(p_sum);
          kl[i] += std::exp(p) * (p - stored->logits[image][k].item<double>() / t + std::log(q_sum));
        }
      }
      double wrong = 0, length = 0;
      for (int64_t i = 0; i < 4; ++i) {
        const double value = Number(2, 1, image, i);
        wrong += std::pow(stored->maps["a"][image][i / 2][i % 2].item<double>() - value, 2);
        length += value * value;
      }
      error += std::sqrt(wrong / length);
      int64_t greatest = 0;
      for (int64_t k = 1; k < kClasses; ++k) {
        if (Number(0, 1, image, k) > Number(0, 1, image, greatest)) greatest = k;
      }
      correct += greatest == Label(image) ? 1 : 0;
    }
    EXPECT_EQ(facts->correct, correct);
    EXPECT_NEAR(facts->kl_1, kl[0], 1e-12);
    EXPECT_NEAR(facts->kl_4, kl[1], 1e-12);
    EXPECT_NEAR(facts->error.at("map.a"), error, 1e-12);
    EXPECT_EQ(facts->error.count("logits"), 0);
  }
}

TEST(TargetCacheTest, GatherNamesPlacesOutside) {
  const auto cache = TargetCache::Open(Write(Parse("")));
  ASSERT_TRUE(cache.ok());
  TargetRequest request;
  request.logits = true;
  for (const int64_t outside : {int64_t{-1}, kSamples, std::numeric_limits<int64_t>::max()}) {
    const absl::Status status = cache->Gather(Vector({0, 0}), Vector({0, outside}), request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(status.message(), HasSubstr("image " + std::to_string(outside)));
  }
  const absl::Status status = cache->Gather(Vector({kViews}), Vector({0}), request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(status.message(), HasSubstr("view 3"));
  for (const at::Tensor& wrong : {at::tensor({0.0f}), Vector({0, 1}), at::full({1, 1}, 0, at::kLong)}) {
    EXPECT_EQ(cache->Gather(Vector({0}), wrong, request).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(TargetShardBuilderTest, RefusesWhatDoesNotFitAndStaysAsItWas) {
  const ShardPlace place = {"x", 0, 0, 3};
  TargetShardBuilder builder(Parse(std::string(kEverything) + "FP16"), place);
  ASSERT_TRUE(builder.Append(TargetsOf(0, {0, 1}), Vector({0, 1})).ok());
  const auto refused = [&builder](const Targets& targets, const std::vector<int64_t>& labels, const char* message) {
    const absl::Status status = builder.Append(targets, Vector(labels));
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(status.message(), HasSubstr(message));
  };
  refused(TargetsOf(0, {2, 3}), {2, 3}, "4 images are more than the 3 of a shard");
  refused(TargetsOf(0, {2, 3}), {2}, "logits of 1 images are [2,4]");
  Targets targets = TargetsOf(0, {2});
  targets.logits = at::Tensor();
  refused(targets, {2}, "missing");
  targets = TargetsOf(0, {2});
  targets.logits = at::full({1, kClasses + 1}, 0.0);
  refused(targets, {2}, "logits of an image is [5], and was [4] before");
  targets = TargetsOf(0, {2});
  targets.maps["a"] = at::full({2, 2, 2}, 0.0);
  refused(targets, {2}, "map.a is [2,2,2] of 1 images");
  targets = TargetsOf(0, {2});
  targets.embedding[0][0] = NAN;
  refused(targets, {2}, "embedding holds NaN");

  const std::string path = retort::testing::NewFolder() + "/shard";
  const absl::Status early = builder.Write(path);
  EXPECT_EQ(early.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(early.message(), HasSubstr("only 2 of the 3 images"));
  EXPECT_EQ(data::ReadFile(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(builder.Append(TargetsOf(0, {2}), Vector({2})).ok());
  ASSERT_TRUE(builder.Write(path).ok());
  EXPECT_TRUE(CheckShard(path, place).ok());
}

// Shards do not depend on how many images came at a time.
TEST(TargetShardBuilderTest, BytesDoNotDependOnBatches) {
  std::string bytes[2];
  for (const int64_t batch : {1, 3}) {
    TargetShardBuilder builder(Parse(std::string(kEverything) + "INT8"), {"x", 0, 0, 3});
    for (int64_t first = 0; first < 3; first += batch) {
      std::vector<int64_t> images;
      for (int64_t i = first; i < first + batch; ++i) images.push_back(i);
      ASSERT_TRUE(builder.Append(TargetsOf(0, images), Vector(images)).ok());
    }
    const std::string path = retort::testing::NewFolder() + "/shard";
    ASSERT_TRUE(builder.Write(path).ok());
    bytes[batch / 2] = *data::ReadFile(path);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

// At every call that changes a file: a clean error, shards that are whole or not there, and the rest of them later.
TEST(TargetShardBuilderTest, AFullDiskLosesNothing) {
  at::set_num_threads(1);  // the child has no others
  const config::StoredTargets contents = Parse("precision: FP16 map: 'a'");
  const auto path = [](const std::string& folder, int64_t shard) { return folder + "/" + std::to_string(shard); };
  const auto place = [](int64_t shard) { return ShardPlace{"x", 0, 2 * shard, 2}; };
  const auto fill = [&](const std::string& folder) {
    for (int64_t shard = 0; shard < 3; ++shard) {
      if (CheckShard(path(folder, shard), place(shard)).ok()) continue;
      TargetShardBuilder builder(contents, place(shard));
      absl::Status status = builder.Append(TargetsOf(0, {2 * shard, 2 * shard + 1}), Vector({0, 1}));
      if (status.ok()) status = builder.Write(path(folder, shard));
      if (!status.ok()) return static_cast<int>(status.code());
    }
    return 0;
  };
  const std::string whole = retort::testing::NewFolder();
  ASSERT_EQ(fill(whole), 0);
  int failures = 0;
  for (int call = 0;; ++call) {
    const std::string folder = retort::testing::NewFolder();
    const retort::testing::ChildEnd end = retort::testing::RunAndFail(call, ENOSPC, [&] { return fill(folder); });
    if (!end.interrupted) break;
    EXPECT_TRUE(end.exit_code == 0 || end.exit_code == static_cast<int>(absl::StatusCode::kResourceExhausted))
        << "call " << call << ": " << end.exit_code;
    failures += end.exit_code == 0 ? 0 : 1;
    for (int64_t shard = 0; shard < 3; ++shard) {
      const absl::Status found = CheckShard(path(folder, shard), place(shard)).status();
      EXPECT_TRUE(found.ok() || absl::IsNotFound(found)) << found;
    }
    ASSERT_EQ(fill(folder), 0);
    for (int64_t shard = 0; shard < 3; ++shard) {
      EXPECT_EQ(*data::ReadFile(path(folder, shard)), *data::ReadFile(path(whole, shard)));
    }
  }
  EXPECT_GE(failures, 9);
}

class DamageTest : public ::testing::Test {
 protected:
  DamageTest() {
    for (const TargetCache::View& view : views_) {
      for (const std::string& shard : view.shards) {
        paths_.push_back(shard);
        sound_.push_back(*data::ReadFile(shard));
      }
    }
  }

  void Put(size_t i, const std::string& bytes) { std::ofstream(paths_[i], std::ios::binary) << bytes; }

  // Naming the shard where it lies.
  void ExpectFound(size_t i, const std::string& what) {
    const absl::Status status = TargetCache::Open(views_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << what << ": " << status;
    EXPECT_THAT(status.message(), HasSubstr(paths_[i])) << what;
  }

  const std::vector<TargetCache::View> views_ = Write(Parse(std::string(kEverything) + "FP16"));
  std::vector<std::string> paths_, sound_;
};

TEST_F(DamageTest, TwoThousandMutationsAreFound) {
  std::mt19937 random(20251);
  const auto below = [&random](size_t limit) { return static_cast<size_t>(random() % limit); };
  for (int i = 0; i < 2000; ++i) {
    const size_t shard = below(paths_.size());
    std::string damaged = sound_[shard];
    switch (i % 5) {
      case 0:
        damaged[below(damaged.size())] ^= static_cast<char>(1 << below(8));
        break;
      case 1:
        damaged.resize(below(damaged.size()));
        break;
      case 2:
        damaged.append(1 + below(64), static_cast<char>(below(256)));
        break;
      case 3: {  // Two blocks of eight bytes change places.
        const size_t a = below(damaged.size() / 8) * 8, b = below(damaged.size() / 8) * 8;
        const std::string first = damaged.substr(a, 8), second = damaged.substr(b, 8);
        damaged.replace(b, 8, first);
        damaged.replace(a, 8, second);
        break;
      }
      case 4: {  // Zeros, as of a page that was never written.
        const size_t from = below(damaged.size());
        const size_t count = std::min(damaged.size() - from, 1 + below(512));
        damaged.replace(from, count, count, '\0');
        break;
      }
    }
    if (damaged == sound_[shard]) continue;
    Put(shard, damaged);
    ExpectFound(shard, "mutation " + std::to_string(i));
    Put(shard, sound_[shard]);
  }
  EXPECT_TRUE(TargetCache::Open(views_).ok());
}

TEST_F(DamageTest, ShardsInOthersPlacesAreFound) {
  for (size_t to = 0; to < paths_.size(); ++to) {
    for (size_t from = 0; from < paths_.size(); ++from) {
      if (from == to) continue;
      Put(to, sound_[from]);
      EXPECT_EQ(TargetCache::Open(views_).status().code(), absl::StatusCode::kDataLoss) << from << " as " << to;
    }
    Put(to, sound_[to]);
  }
}

TEST_F(DamageTest, ShardsOfAnotherCacheAreFound) {
  std::vector<TargetCache::View> other = views_;
  other[1].identity = "another teacher";
  EXPECT_THAT(TargetCache::Open(other).status().message(), HasSubstr("another teacher"));
  other = views_;
  other[2].shards.pop_back();
  EXPECT_EQ(TargetCache::Open(other).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TargetCache::Open({}).status().code(), absl::StatusCode::kInvalidArgument);
  other = views_;
  other[0].shards[1] += ".gone";
  EXPECT_EQ(TargetCache::Open(other).status().code(), absl::StatusCode::kNotFound);
  other = views_;
  other[1].shards = Write(Parse(std::string(kEverything) + "FP32"))[1].shards;
  EXPECT_EQ(TargetCache::Open(other).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DamageTest, OtherFilesAreRefused) {
  ASSERT_TRUE(nn::SaveTensors(paths_[0], {{"logits", at::full({2, 4}, 1.0)}}, {}).ok());
  ExpectFound(0, "no version");
  ASSERT_TRUE(nn::SaveTensors(paths_[0], {{"logits", at::full({2, 4}, 1.0)}}, {{"retort.targets", "2"}}).ok());
  ExpectFound(0, "version 2");
  ASSERT_TRUE(nn::SaveTensors(paths_[0], {{"logits", at::full({2, 4}, 1.0)}}, {{"retort.targets", "1"}}).ok());
  ExpectFound(0, "no place");
}

// How many pages of a file are in memory, by a mapping of the test's own.
int64_t PagesInMemory(const std::string& path, int64_t from, int64_t bytes) {
  const auto file = data::MappedFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  const int64_t page = sysconf(_SC_PAGESIZE), first = from / page * page;
  std::vector<unsigned char> resident(static_cast<size_t>((from + bytes - first + page - 1) / page));
  EXPECT_EQ(mincore(const_cast<uint8_t*>((*file)->bytes().data()) + first, static_cast<size_t>(from + bytes - first),
                    resident.data()),
            0);
  return std::count_if(resident.begin(), resident.end(), [](unsigned char c) { return (c & 1) != 0; });
}

TEST(TargetCacheTest, ReadsAheadWhatDoesNotFitInMemory) {
  constexpr int64_t kImages = 64, kWide = 32768;  // records of 128 kB
  const std::string path = retort::testing::NewFolder() + "/wide";
  TargetShardBuilder builder(Parse("precision: FP32"), {"wide", 0, 0, kImages});
  Targets targets;
  targets.logits = at::full({1, kWide}, 0.5);
  for (int64_t i = 0; i < kImages; ++i) ASSERT_TRUE(builder.Append(targets, at::full({1}, 0, at::kLong)).ok());
  ASSERT_TRUE(builder.Write(path).ok());
  const int64_t size = static_cast<int64_t>(std::filesystem::file_size(path));
  EXPECT_FALSE(TargetCache::Open({{0, "wide", {path}}}, size)->beyond_memory());
  const auto cache = TargetCache::Open({{0, "wide", {path}}}, size - 1);
  ASSERT_TRUE(cache.ok()) << cache.status();
  EXPECT_TRUE(cache->beyond_memory());
  const int fd = open(path.c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  // The last record ends the file.
  constexpr int64_t kRecord = kWide * 4, kImage = kImages / 2;
  const int64_t pages = kRecord / sysconf(_SC_PAGESIZE);
  const auto in_memory = [&] { return PagesInMemory(path, size - (kImages - kImage) * kRecord, kRecord); };
  if (in_memory() > 0) GTEST_SKIP() << "this file system keeps files in memory";
  cache->ReadAhead(Vector({0}), Vector({kImage}));
  for (int tries = 0; tries < 200 && in_memory() < pages; ++tries) absl::SleepFor(absl::Milliseconds(25));
  EXPECT_GE(in_memory(), pages);
  EXPECT_EQ(PagesInMemory(path, size - (kImages - kImage / 2) * kRecord, kRecord), 0);
}

}  // namespace
}  // namespace retort::kd
