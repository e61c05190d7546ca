// Published parameter counts of whole models.

#include <cstdint>
#include <ostream>
#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/nn/build_model.h"

namespace retort::nn {
namespace {

struct Case {
  std::string name;
  std::string config;
  int64_t classes;
  int64_t height;
  int64_t width;
  int64_t count;
  std::string source;
};

void PrintTo(const Case& model, std::ostream* stream) { *stream << model.config << ", by " << model.source; }

// "timm" is timm 1.0.31: the sum of numel() over parameters() of the named model.
const Case kCases[] = {
    {"vit_multi_view_student",
     "vit { patch: 4 depth: 6 norm_eps: 1e-5 attention_dropout: 0.1 mlp_dropout: 0.2 class_token_init: "
     "TRUNCATED_NORMAL }",
     10, 32, 32, 2693578, "anguskk109/VIT-DISTILL: student_vit.py"},
    {"vit_tiny16", "vit {}", 100, 224, 224, 5543716, "timm vit_tiny_patch16_224"},
    {"vit_small16", "vit { width: 384 heads: 6 }", 10, 224, 224, 21669514, "timm vit_small_patch16_224"},
    {"vit_small32", "vit { patch: 32 width: 384 heads: 6 }", 1000, 224, 224, 22878952, "timm vit_small_patch32_224"},
    {"vit_base16", "vit { width: 768 heads: 12 }", 100, 224, 224, 85875556, "timm vit_base_patch16_224"},
    {"vit_base32", "vit { patch: 32 width: 768 heads: 12 }", 1000, 224, 224, 88224232, "timm vit_base_patch32_224"},
    {"vit_large16", "vit { width: 1024 depth: 24 heads: 16 }", 1000, 224, 224, 304326632, "timm vit_large_patch16_224"},
    {"deit_tiny16", "vit { distillation_token: true }", 1000, 224, 224, 5910800,
     "timm deit_tiny_distilled_patch16_224"},
    {"deit_base16_384", "vit { width: 768 heads: 12 distillation_token: true }", 1000, 384, 384, 87630032,
     "timm deit_base_distilled_patch16_384"},
};

class ParameterCountTest : public ::testing::TestWithParam<Case> {};

TEST_P(ParameterCountTest, IsThePublishedOne) {
  const Case& model = GetParam();
  config::Model config;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(model.config, &config));
  const ModelShape shape = {/*channels=*/3, model.height, model.width, model.classes};
  EXPECT_EQ(CountParameters(*BuildModel(config, shape, /*seed=*/1, /*channels_last=*/false).value()), model.count);
}

INSTANTIATE_TEST_SUITE_P(Families, ParameterCountTest, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace retort::nn
