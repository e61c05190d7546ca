#include "retort/nn/weights.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/data/io/weights/testing_files.h"
#include "retort/nn/build_model.h"
#include "retort/testing/memory_growth.h"

namespace retort::nn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Path(const std::string& name) { return ::testing::TempDir() + "/" + name; }

// 0, 1, 2, 3, 0, 1, ...: whole numbers that every type has.
at::Tensor Ramp(at::IntArrayRef shape, at::ScalarType type) {
  return at::arange(24, at::kFloat).remainder(4).to(type).reshape(shape);
}

absl::StatusOr<LoadReport> Load(const std::string& path, const std::vector<NamedTensor>& tensors,
                                const LoadOptions& options = {}) {
  const absl::StatusOr<data::WeightFile> file = data::WeightFile::Open(path);
  if (!file.ok()) return file.status();
  return LoadTensors(*file, tensors, options);
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
  for (int i = 0; i < 24; ++i) EXPECT_EQ(values[i], static_cast<float>(i % 4));
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
  const at::Tensor target =
      at::zeros({2, 3, 2, 2}, at::kFloat).to(GetParam().loaded).contiguous(at::MemoryFormat::ChannelsLast);
  const absl::Status status = Load(path, {{"w", target}}).status();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(at::equal(target.to(at::kFloat), Ramp({2, 3, 2, 2}, at::kFloat)));
  EXPECT_TRUE(target.is_contiguous(at::MemoryFormat::ChannelsLast));
}

INSTANTIATE_TEST_SUITE_P(
    Types, ConversionTest,
    ::testing::Values(Case{"f32", at::kFloat, at::kFloat}, Case{"bf16_to_f32", at::kBFloat16, at::kFloat},
                      Case{"f16_to_f32", at::kHalf, at::kFloat}, Case{"f64_to_f32", at::kDouble, at::kFloat},
                      Case{"f32_to_bf16", at::kFloat, at::kBFloat16}, Case{"f32_to_f16", at::kFloat, at::kHalf},
                      Case{"f16_to_bf16", at::kHalf, at::kBFloat16}, Case{"bf16_to_f16", at::kBFloat16, at::kHalf},
                      Case{"f8_to_f32", at::kFloat8_e5m2, at::kFloat}, Case{"u16", at::kUInt16, at::kUInt16},
                      Case{"c64", at::kComplexFloat, at::kComplexFloat}, Case{"i64", at::kLong, at::kLong},
                      Case{"u8", at::kByte, at::kByte}),
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
  const absl::Status status =
      Load(path, {{"good", good}, {"shape", shape}, {"type", type}, {"absent", absent}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr(path), HasSubstr("missing \"absent\""), HasSubstr("unexpected \"extra\""),
            HasSubstr("\"shape\" is F32 [2,3] in the file, but must be Float [3,2]"), HasSubstr("\"type\" is F32")));
  EXPECT_EQ(good.sum().item<float>(), 0);
}

TEST(TensorsErrorTest, NamesATensorThatTheFormatCannotHold) {
  const absl::Status status = SaveTensors(Path("complex.safetensors"), {{"z", at::ones({1}, at::kComplexDouble)}}, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"z\""));
}

// A file of "head.weight" [2,2], "body.weight" [2] and "extra" [1].
std::string HeadAndBody() {
  const std::string path = Path("head_and_body.safetensors");
  EXPECT_TRUE(SaveTensors(path,
                          {{"head.weight", at::ones({2, 2})}, {"body.weight", at::ones({2})}, {"extra", at::ones({1})}},
                          {})
                  .ok());
  return path;
}

TEST(LoadOptionsTest, WhatIsAllowedStaysAsItIsAndIsReported) {
  const at::Tensor head = at::zeros({3, 2}), body = at::zeros({2}), fresh = at::zeros({4});
  LoadOptions options;
  options.allow_missing = {"fresh*"};
  options.allow_mismatched = {"head.*"};
  options.allow_unexpected = {"extra"};
  const auto report =
      Load(HeadAndBody(), {{"head.weight", head}, {"body.weight", body}, {"fresh.bias", fresh}}, options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->missing, ElementsAre("fresh.bias"));
  EXPECT_THAT(report->mismatched, ElementsAre("head.weight, F32 [2,2] for Float [3,2]"));
  EXPECT_THAT(report->unexpected, ElementsAre("extra"));
  EXPECT_EQ(report->Lines().size(), 3u);
  EXPECT_EQ(head.sum().item<float>(), 0);
  EXPECT_EQ(body.sum().item<float>(), 2);
}

TEST(LoadOptionsTest, EachListAllowsItsOwnKindOnly) {
  const at::Tensor head = at::zeros({3, 2}), body = at::zeros({2}), fresh = at::zeros({4});
  const std::vector<NamedTensor> tensors = {{"head.weight", head}, {"body.weight", body}, {"fresh.bias", fresh}};
  LoadOptions missing, unexpected, mismatched;
  missing.allow_missing = mismatched.allow_mismatched = unexpected.allow_unexpected = {"*"};
  struct Left {
    const LoadOptions* options;
    std::vector<std::string> faults;
  };
  const std::string of_head = "\"head.weight\" is", of_extra = "unexpected \"extra\"",
                    of_fresh = "missing \"fresh.bias\"";
  for (const Left& left : std::vector<Left>{
           {&missing, {of_head, of_extra}}, {&unexpected, {of_head, of_fresh}}, {&mismatched, {of_extra, of_fresh}}}) {
    const std::string message(Load(HeadAndBody(), tensors, *left.options).status().message());
    for (const std::string& fault : {of_head, of_extra, of_fresh}) {
      const bool expected = std::find(left.faults.begin(), left.faults.end(), fault) != left.faults.end();
      EXPECT_EQ(message.find(fault) != std::string::npos, expected) << message;
    }
  }
  EXPECT_EQ(body.sum().item<float>(), 0);
}

TEST(LoadOptionsTest, APatternThatFitsNothingIsNamed) {
  LoadOptions options;
  options.allow_missing = {"haed.*"};
  const absl::Status status = Load(HeadAndBody(), {{"head.weight", at::zeros({2, 2})}}, options).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("allow_missing \"haed.*\" fits no tensor"));
}

TEST(LoadOptionsTest, NamesAreRenamed) {
  config::KeyMap rules;
  config::KeyRule* rule = rules.add_rule();
  rule->set_from("body.{x}");
  rule->set_to("trunk.{x}");
  LoadOptions options;
  options.key_map = KeyMap::Create(rules).value();
  options.allow_unexpected = {"head.*", "extra"};
  const at::Tensor trunk = at::zeros({2});
  const auto report = Load(HeadAndBody(), {{"trunk.weight", trunk}}, options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(trunk.sum().item<float>(), 2);
  rule->set_from("head.weight");
  rule->set_to("body.weight");
  options.key_map = KeyMap::Create(rules).value();
  EXPECT_THAT(std::string(Load(HeadAndBody(), {{"body.weight", trunk}}, options).status().message()),
              HasSubstr("\"body.weight\" twice"));
}

TEST(LoadOptionsTest, PrefixesOfWrappersAreTakenAway) {
  const std::string path = Path("wrapped.safetensors");
  ASSERT_TRUE(
      SaveTensors(path, {{"module._orig_mod.a", at::ones({2})}, {"module._orig_mod.b", at::ones({2})}}, {}).ok());
  const at::Tensor a = at::zeros({2}), b = at::zeros({2});
  const auto report = Load(path, {{"a", a}, {"b", b}});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->prefix, "module._orig_mod.");
  EXPECT_EQ((a + b).sum().item<float>(), 4);
  const auto same = Load(path, {{"module._orig_mod.a", a}, {"module._orig_mod.b", b}});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->prefix, "");
}

// "a" [2,3], and "c" [3,2], its transpose, which shares a's storage.
TEST(PyTorchFileTest, StridesBecomeTheTargets) {
  const std::string path = Path("sample.pth");
  ASSERT_TRUE(data::WriteFileAtomically(path, data::SamplePth()).ok());
  const at::Tensor a = at::zeros({2, 3}), b = at::zeros({}, at::kLong), c = at::zeros({3, 2});
  const auto report = Load(path, {{"a", a}, {"b", b}, {"c", c}});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(at::equal(a.t(), c));
  EXPECT_EQ(a.flatten()[0].item<float>(), 0x1.c2c2c2p+67f);  // the bytes "aaaa"
  EXPECT_EQ(b.item<int64_t>(), 0x3837363534333231);
}

TEST(AsTensorTest, ReadsBytesThatAreNotAligned) {
  const std::vector<uint8_t> bytes = {9, 0, 0, 128, 63, 0, 0, 0, 64};  // 1.0f and 2.0f behind a byte
  const auto tensor = AsTensor({"x", data::DType::kF32, {2}, {1}, absl::MakeConstSpan(bytes).subspan(1)});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ((*tensor)[1].item<float>(), 2);
  EXPECT_EQ(AsTensor({"x", data::DType::kF4, {2}, {1}, absl::MakeConstSpan(bytes).first(1)}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MemoryTest, AFileIsNeverInMemoryAsAWhole) {
  constexpr int64_t kTensors = 8, kElements = 4 << 20;  // 16 MB each
  const std::string path = Path("large.safetensors");
  std::vector<std::string> entries;
  std::vector<NamedTensor> tensors;
  for (int64_t i = 0; i < kTensors; ++i) {
    entries.push_back(absl::StrCat("\"t", i, R"(":{"dtype":"F32","shape":[)", kElements, R"(],"data_offsets":[)",
                                   4 * kElements * i, ",", 4 * kElements * (i + 1), "]}"));
    tensors.emplace_back(absl::StrCat("t", i), at::ones({kElements}));
  }
  std::string header = absl::StrCat("{", absl::StrJoin(entries, ","), "}");
  header.resize((header.size() + 7) / 8 * 8, ' ');  // aligned, as all writers do it
  ASSERT_TRUE(data::WriteFileAtomically(path, data::MakeSafetensors(header, "")).ok());
  ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(8 + header.size()) + 4 * kElements * kTensors), 0);

  const testing::MemoryGrowth growth = testing::GrowthOfMemory([&] {
    const auto report = Load(path, tensors);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(tensors.back().second.sum().item<float>(), 0);
  });
  EXPECT_LT(growth.anonymous, 4 << 20);
  EXPECT_LT(growth.peak, 40 << 20);  // one tensor's pages at a time, of eight
}

// ViT-Base, 346 MB. Row-major weights are written from where they are, and read into where they belong.
TEST(MemoryTest, AModelsFileNeedsNoSecondCopy) {
  config::Model config;
  config.mutable_vit()->set_width(768);
  config.mutable_vit()->set_heads(12);
  const auto model = BuildModel(config, {3, 224, 224, 1000}, /*seed=*/1, /*channels_last=*/false).value();
  std::vector<double> sums;
  for (const auto& [name, tensor] : model->Parameters()) sums.push_back(tensor.sum().item<double>());
  const std::string path = Path("vit_base.safetensors");

  const testing::MemoryGrowth growth = testing::GrowthOfMemory([&] {
    ASSERT_TRUE(SaveModel(path, *model, {}).ok());
    EXPECT_GT(data::WeightFile::Open(path)->storage().bytes().size(), 345'000'000u);
    for (const auto& [name, tensor] : model->Parameters()) tensor.detach().zero_();
    ASSERT_TRUE(LoadModel(path, model.get()).ok());
  });
  EXPECT_LT(growth.anonymous, 8 << 20);
  EXPECT_LT(growth.peak, 24 << 20);
  size_t i = 0;
  for (const auto& [name, tensor] : model->Parameters()) EXPECT_EQ(tensor.sum().item<double>(), sums[i++]) << name;
  unlink(path.c_str());
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

// 32 px to 48 px at patch 16: 2x2 places become 3x3, the class token stays as it is. The resampled numbers themselves
// are held against timm's in position_embedding_test.
TEST(ModelTest, PositionEmbeddingsOfAnotherImageSizeAreResampled) {
  config::Model config;
  config.mutable_vit()->set_width(6);
  config.mutable_vit()->set_heads(1);
  config.mutable_vit()->set_depth(1);
  const auto small = BuildModel(config, {3, 32, 32, 2}, 1, false).value();
  const auto large = BuildModel(config, {3, 48, 48, 2}, 2, false).value();
  const auto position = [](const Model& model) {
    for (const auto& [name, tensor] : model.Parameters()) {
      if (name == "pos_embed") return tensor.detach();
    }
    return at::Tensor();
  };
  const std::string path = Path("positions.safetensors");
  ASSERT_TRUE(SaveModel(path, *small, {}).ok());
  const data::WeightFile file = data::WeightFile::Open(path).value();
  const auto report = LoadModel(file, large.get(), {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->refitted,
              ElementsAre(AllOf(HasSubstr("pos_embed"), HasSubstr("[1,5,6]"), HasSubstr("[1,10,6]"))));
  EXPECT_TRUE(at::equal(position(*large)[0][0], position(*small)[0][0]));
  EXPECT_FALSE(at::equal(position(*large)[0][1], position(*large)[0][9]));

  // Allowed to differ, it stays; of another width, nothing can be made of it.
  LoadOptions keep;
  keep.allow_mismatched = {"pos_embed"};
  const at::Tensor before = position(*large).clone();
  ASSERT_TRUE(LoadModel(file, large.get(), keep).ok());
  EXPECT_TRUE(at::equal(position(*large), before));
  config.mutable_vit()->set_width(12);
  const auto wide = BuildModel(config, {3, 48, 48, 2}, 2, false).value();
  EXPECT_THAT(LoadModel(file, wide.get(), {}).status().message(), HasSubstr("\"pos_embed\" is"));
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
