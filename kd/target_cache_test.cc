#include "retort/kd/target_cache.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "retort/data/io/file.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/nn/weights.h"

namespace retort::kd {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kViews = 3, kSamples = 5, kClasses = 4, kWidth = 2;

// The target of a place: not exact in fp16, and different everywhere.
float Place(int64_t view, int64_t image, int64_t column) {
  return static_cast<float>(1 + view * 100 + image * 10 + column);
}
float Logit(int64_t view, int64_t image, int64_t k) { return std::sin(Place(view, image, k)) * 12; }
float Hidden(int64_t view, int64_t image, int64_t d) { return std::cos(Place(view, image, d)); }

at::Tensor Vector(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

nn::Outputs OutputsOf(int64_t view, const std::vector<int64_t>& images) {
  nn::Outputs outputs;
  const int64_t batch = static_cast<int64_t>(images.size());
  outputs.logits = at::empty({batch, kClasses});
  outputs.embedding = at::empty({batch, kWidth});
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t k = 0; k < kClasses; ++k) {
      outputs.logits.mutable_data_ptr<float>()[b * kClasses + k] = Logit(view, images[b], k);
    }
    for (int64_t d = 0; d < kWidth; ++d) {
      outputs.embedding.mutable_data_ptr<float>()[b * kWidth + d] = Hidden(view, images[b], d);
    }
  }
  return outputs;
}

std::string WriteCache(bool embedding, TargetPrecision precision) {
  TargetCacheBuilder builder(kViews, kSamples, embedding, precision);
  for (const int64_t view : {1, 0, 2}) {
    for (const auto& images : std::vector<std::vector<int64_t>>{{4, 0}, {2}, {1, 3}}) {
      EXPECT_TRUE(builder.Put(view, Vector(images), OutputsOf(view, images)).ok());
    }
  }
  const std::string path = testing::NewFolder() + "/targets.safetensors";
  const absl::Status status = builder.Write(path);
  EXPECT_TRUE(status.ok()) << status;
  return path;
}

struct PrecisionCase {
  const char* name;
  TargetPrecision precision;
  double relative;  // largest error over the value's size
};

class TargetCachePrecisionTest : public ::testing::TestWithParam<PrecisionCase> {};

TEST_P(TargetCachePrecisionTest, GathersWhatWasPut) {
  const auto cache = TargetCache::Open(WriteCache(true, GetParam().precision));
  ASSERT_TRUE(cache.ok()) << cache.status();
  EXPECT_EQ(cache->views(), kViews);
  EXPECT_EQ(cache->samples(), kSamples);
  EXPECT_TRUE(cache->has_embedding());

  const std::vector<int64_t> views = {2, 0, 2}, images = {4, 0, 0, 3};
  const auto targets = cache->Gather(Vector(views), Vector(images), true);
  ASSERT_TRUE(targets.ok()) << targets.status();
  ASSERT_EQ(targets->logits.scalar_type(), at::kFloat);
  ASSERT_EQ(targets->logits.sizes(), (std::vector<int64_t>{12, kClasses}));
  ASSERT_EQ(targets->embedding.sizes(), (std::vector<int64_t>{12, kWidth}));
  const auto expect_near = [](float got, float expected) {
    EXPECT_LE(std::abs(got - expected), GetParam().relative * std::abs(expected));
  };
  for (size_t v = 0; v < views.size(); ++v) {
    for (size_t b = 0; b < images.size(); ++b) {
      const int64_t row = static_cast<int64_t>(v * images.size() + b);
      for (int64_t k = 0; k < kClasses; ++k) {
        expect_near(targets->logits.const_data_ptr<float>()[row * kClasses + k], Logit(views[v], images[b], k));
      }
      for (int64_t d = 0; d < kWidth; ++d) {
        expect_near(targets->embedding.const_data_ptr<float>()[row * kWidth + d], Hidden(views[v], images[b], d));
      }
    }
  }
}

// 11 significant bits, rounded to nearest.
INSTANTIATE_TEST_SUITE_P(All, TargetCachePrecisionTest,
                         ::testing::Values(PrecisionCase{"Fp32", TargetPrecision::kFp32, 0},
                                           PrecisionCase{"Fp16", TargetPrecision::kFp16, std::ldexp(1.0, -11)}),
                         [](const auto& instance) { return instance.param.name; });

TEST(TargetCacheTest, StoresOnlyWhatIsAskedFor) {
  const auto cache = TargetCache::Open(WriteCache(false, TargetPrecision::kFp16));
  ASSERT_TRUE(cache.ok()) << cache.status();
  EXPECT_FALSE(cache->has_embedding());
  const auto logits = cache->Gather(Vector({0}), Vector({1}), false);
  ASSERT_TRUE(logits.ok());
  EXPECT_FALSE(logits->embedding.defined());
  EXPECT_EQ(cache->Gather(Vector({0}), Vector({1}), true).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(TargetCacheTest, TakesTwoBytesANumberInFp16) {
  const auto file = data::SafetensorsFile::Open(WriteCache(true, TargetPrecision::kFp16));
  ASSERT_TRUE(file.ok());
  const auto logits = file->Find("logits");
  ASSERT_TRUE(logits.ok());
  EXPECT_EQ(logits->shape, (std::vector<int64_t>{kViews, kSamples, kClasses}));
  EXPECT_EQ(logits->bytes.size(), 2 * kViews * kSamples * kClasses);
}

TEST(TargetCacheTest, GatherNamesPlacesOutside) {
  const auto cache = TargetCache::Open(WriteCache(false, TargetPrecision::kFp32));
  ASSERT_TRUE(cache.ok());
  for (const int64_t outside : {int64_t{-1}, kSamples, std::numeric_limits<int64_t>::max()}) {
    const absl::Status status = cache->Gather(Vector({0}), Vector({0, outside}), false).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(status.message(), HasSubstr("image " + std::to_string(outside)));
  }
  const absl::Status status = cache->Gather(Vector({kViews}), Vector({0}), false).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(status.message(), HasSubstr("view 3"));
  EXPECT_EQ(cache->Gather(Vector({0}), at::tensor({0.0f}), false).status().code(), absl::StatusCode::kInvalidArgument);
}

struct FaultCase {
  const char* name;
  int64_t view;
  std::vector<int64_t> images;
  void (*change)(nn::Outputs&);
  absl::StatusCode code;
  const char* message;
};

class TargetCacheFaultTest : public ::testing::TestWithParam<FaultCase> {};

TEST_P(TargetCacheFaultTest, IsRefusedAndChangesNothing) {
  TargetCacheBuilder builder(kViews, kSamples, true, TargetPrecision::kFp16);
  for (const int64_t view : {0, 1}) {
    ASSERT_TRUE(builder.Put(view, Vector({0, 1, 2, 3, 4}), OutputsOf(view, {0, 1, 2, 3, 4})).ok());
  }
  ASSERT_TRUE(builder.Put(2, Vector({0, 1}), OutputsOf(2, {0, 1})).ok());

  nn::Outputs outputs = OutputsOf(GetParam().view, GetParam().images);
  GetParam().change(outputs);
  const absl::Status status = builder.Put(GetParam().view, Vector(GetParam().images), outputs);
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));

  // The missing rows are still missing and can still be put.
  const std::string path = testing::NewFolder() + "/targets.safetensors";
  const absl::Status missing = builder.Write(path);
  EXPECT_EQ(missing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(missing.message(), HasSubstr("view 2, image 2 "));
  EXPECT_EQ(data::ReadFile(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(builder.Put(2, Vector({2, 3, 4}), OutputsOf(2, {2, 3, 4})).ok());
  ASSERT_TRUE(builder.Write(path).ok());
  const auto targets = TargetCache::Open(path)->Gather(Vector({2}), Vector({0}), false);
  EXPECT_NEAR(targets->logits.const_data_ptr<float>()[0], Logit(2, 0, 0), 0.01);
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

INSTANTIATE_TEST_SUITE_P(
    All, TargetCacheFaultTest,
    ::testing::Values(
        FaultCase{"NaN",
                  2,
                  {2, 3, 4},
                  [](nn::Outputs& o) { o.logits[1][2] = NAN; },
                  absl::StatusCode::kInvalidArgument,
                  "NaN"},
        FaultCase{"Infinity",
                  2,
                  {2},
                  [](nn::Outputs& o) { o.embedding[0][0] = -kInfinity; },
                  absl::StatusCode::kInvalidArgument,
                  "embedding holds NaN or infinity"},
        FaultCase{"BeyondFp16",
                  2,
                  {2},
                  [](nn::Outputs& o) { o.logits[0][0] = -70000; },
                  absl::StatusCode::kInvalidArgument,
                  "70000"},
        FaultCase{"PutBefore", 2, {2, 1}, [](nn::Outputs&) {}, absl::StatusCode::kInvalidArgument, "view 2, image 1 "},
        FaultCase{
            "TwiceInOneBatch", 2, {3, 3}, [](nn::Outputs&) {}, absl::StatusCode::kInvalidArgument, "view 2, image 3 "},
        FaultCase{"NoSuchImage", 2, {2, 5}, [](nn::Outputs&) {}, absl::StatusCode::kOutOfRange, "image 5 "},
        FaultCase{"NoSuchView", 3, {2}, [](nn::Outputs&) {}, absl::StatusCode::kOutOfRange, "view 3 "},
        FaultCase{"OtherClasses",
                  2,
                  {2},
                  [](nn::Outputs& o) {
                    o.logits = at::full({1, kClasses + 1}, 0.0);
                  },
                  absl::StatusCode::kInvalidArgument,
                  "[1,5]"},
        FaultCase{"OtherBatch",
                  2,
                  {2},
                  [](nn::Outputs& o) {
                    o.logits = at::full({2, kClasses}, 0.0);
                  },
                  absl::StatusCode::kInvalidArgument,
                  "[2,4]"},
        FaultCase{"NoEmbedding",
                  2,
                  {2},
                  [](nn::Outputs& o) { o.embedding = at::Tensor(); },
                  absl::StatusCode::kInvalidArgument,
                  "embedding of 1 images must be [1,2]; it is missing"}),
    [](const auto& instance) { return instance.param.name; });

TEST(TargetCacheTest, NothingPutIsRefused) {
  EXPECT_EQ(TargetCacheBuilder(1, 1, false, TargetPrecision::kFp32).Write("targets").code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(TargetCacheTest, EveryDamagedByteIsFound) {
  const std::string path = WriteCache(true, TargetPrecision::kFp16);
  const std::string sound = *data::ReadFile(path);
  for (size_t i = 0; i < sound.size(); ++i) {
    std::string damaged = sound;
    damaged[i] ^= 4;
    std::ofstream(path, std::ios::binary) << damaged;
    EXPECT_EQ(TargetCache::Open(path).status().code(), absl::StatusCode::kDataLoss) << "byte " << i;
  }
  ASSERT_TRUE(data::WriteFileAtomically(path, sound.substr(0, sound.size() - 1)).ok());
  EXPECT_EQ(TargetCache::Open(path).status().code(), absl::StatusCode::kDataLoss);
}

TEST(TargetCacheTest, OtherFilesAreRefused) {
  const std::string path = testing::NewFolder() + "/other.safetensors";
  ASSERT_TRUE(nn::SaveTensors(path, {{"weight", at::full({2, 2}, 1.0)}}, {}).ok());
  EXPECT_EQ(TargetCache::Open(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(nn::SaveTensors(path, {{"logits", at::full({2, 2}, 1.0)}}, {}).ok());
  EXPECT_EQ(TargetCache::Open(path).status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(
      nn::SaveTensors(path, {{"logits", at::full({1, 2, 2}, 1.0)}, {"embedding", at::full({1, 3, 2}, 1.0)}}, {}).ok());
  EXPECT_EQ(TargetCache::Open(path).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace retort::kd
