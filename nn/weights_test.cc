#include "retort/nn/weights.h"

#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/nn/build_model.h"

namespace retort::nn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Path(const std::string& name) { return ::testing::TempDir() + "/" + name; }

at::Tensor Ramp(at::IntArrayRef shape, at::ScalarType type) { return at::arange(24, type).reshape(shape); }

absl::Status Load(const std::string& path, const std::vector<NamedTensor>& tensors) {
  const absl::StatusOr<data::SafetensorsFile> file = data::SafetensorsFile::Open(path);
  return file.ok() ? LoadTensors(*file, tensors) : file.status();
}

TEST(TensorsTest, AreRowMajorInTheFileWhateverTheLayout) {
  const std::string path = Path("row_major.safetensors");
  const at::Tensor tensor = Ramp({2, 3, 2, 2}, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
  ASSERT_TRUE(SaveTensors(path, {{"w", tensor}}, {{"epoch", "3"}}).ok());
  const data::SafetensorsFile file = data::SafetensorsFile::Open(path).value();
  EXPECT_EQ(file.metadata().at("epoch"), "3");
  const data::TensorView view = file.Find("w").value();
  EXPECT_EQ(view.shape, (std::vector<int64_t>{2, 3, 2, 2}));
  const float* values = reinterpret_cast<const float*>(view.bytes.data());
  for (int i = 0; i < 24; ++i) EXPECT_EQ(values[i], static_cast<float>(i));
}

struct Case {
  std::string name;
  at::ScalarType stored;
  at::ScalarType loaded;
};

class ConversionTest : public ::testing::TestWithParam<Case> {};

TEST_P(ConversionTest, KeepsSmallWholeNumbersAndTheTargetsLayout) {
  const std::string path = Path("conversion_" + GetParam().name + ".safetensors");
  ASSERT_TRUE(SaveTensors(path, {{"w", Ramp({2, 3, 2, 2}, GetParam().stored)}}, {}).ok());
  const at::Tensor target = at::zeros({2, 3, 2, 2}, GetParam().loaded).contiguous(at::MemoryFormat::ChannelsLast);
  const absl::Status status = Load(path, {{"w", target}});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(at::equal(target, Ramp({2, 3, 2, 2}, GetParam().loaded)));
  EXPECT_TRUE(target.is_contiguous(at::MemoryFormat::ChannelsLast));
}

INSTANTIATE_TEST_SUITE_P(Types, ConversionTest,
                         ::testing::Values(Case{"f32", at::kFloat, at::kFloat},
                                           Case{"bf16_to_f32", at::kBFloat16, at::kFloat},
                                           Case{"f16_to_f32", at::kHalf, at::kFloat},
                                           Case{"f64_to_f32", at::kDouble, at::kFloat},
                                           Case{"f32_to_bf16", at::kFloat, at::kBFloat16},
                                           Case{"i64", at::kLong, at::kLong}, Case{"u8", at::kByte, at::kByte}),
                         [](const auto& test) { return test.param.name; });

TEST(TensorsErrorTest, ReportsAllFaultsAndChangesNothing) {
  const std::string path = Path("faults.safetensors");
  ASSERT_TRUE(
      SaveTensors(
          path,
          {{"good", at::ones({2})}, {"shape", at::ones({2, 3})}, {"type", at::ones({2})}, {"extra", at::ones({1})}}, {})
          .ok());
  const at::Tensor good = at::zeros({2}), shape = at::zeros({3, 2}), type = at::zeros({2}, at::kLong),
                   absent = at::zeros({4});
  const absl::Status status = Load(path, {{"good", good}, {"shape", shape}, {"type", type}, {"absent", absent}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr(path), HasSubstr("missing \"absent\""), HasSubstr("unexpected \"extra\""),
            HasSubstr("\"shape\" is F32 [2,3] in the file, but must be Float [3,2]"), HasSubstr("\"type\" is F32")));
  EXPECT_EQ(good.sum().item<float>(), 0);
}

TEST(TensorsErrorTest, NamesATensorThatTheFormatCannotHold) {
  const absl::Status status = SaveTensors(Path("complex.safetensors"), {{"z", at::ones({1}, at::kComplexFloat)}}, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"z\""));
}

std::unique_ptr<Model> Light(uint64_t seed, bool channels_last) {
  config::Model config;
  config.mutable_light_nn()->set_hidden(8);
  return BuildModel(config, ModelShape(), seed, channels_last).value();
}

TEST(ModelTest, ComesBackFromItsFileInAnotherLayout) {
  const std::string path = Path("model.safetensors");
  const std::unique_ptr<Model> saved = Light(1, /*channels_last=*/true);
  ASSERT_TRUE(SaveModel(path, *saved, {}).ok());
  const std::unique_ptr<Model> loaded = Light(2, /*channels_last=*/false);
  const absl::Status status = LoadModel(path, loaded.get());
  ASSERT_TRUE(status.ok()) << status;
  const std::vector<NamedTensor> ours = saved->Parameters(), theirs = loaded->Parameters();
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(at::equal(ours[i].second.detach(), theirs[i].second.detach())) << ours[i].first;
    EXPECT_TRUE(theirs[i].second.requires_grad());
  }
}

TEST(ModelErrorTest, FindsADamagedFile) {
  const std::string path = Path("damaged.safetensors");
  const std::unique_ptr<Model> model = Light(1, true);
  ASSERT_TRUE(SaveModel(path, *model, {}).ok());
  std::string bytes = data::ReadFile(path).value();
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 1);
  ASSERT_TRUE(data::WriteFileAtomically(path, bytes).ok());
  EXPECT_EQ(LoadModel(path, model.get()).code(), absl::StatusCode::kDataLoss);
}

TEST(ModelErrorTest, NamesAMissingFile) {
  const std::unique_ptr<Model> model = Light(1, true);
  EXPECT_EQ(LoadModel(Path("absent.safetensors"), model.get()).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace retort::nn
