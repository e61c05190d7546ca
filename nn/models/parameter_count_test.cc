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

// "timm" is timm 1.0.31: the sum of numel() over parameters() of the named model; "torchvision" likewise is 0.26.0,
// "RepDistiller" HobbitLong/RepDistiller at 100 classes, "references/definitions" the modules of that folder.
const Case kCases[] = {
    {"deep_nn", "deep_nn {}", 10, 32, 32, 1186986, "the knowledge-distillation tutorial"},
    {"light_nn", "light_nn {}", 10, 32, 32, 267738, "the knowledge-distillation tutorial"},
    {"notebook_deep_nn", "notebook_deep_nn {}", 10, 32, 32, 1185674, "the notebook's printout"},
    {"notebook_light_nn", "notebook_light_nn {}", 10, 32, 32, 268091, "the notebook's printout"},
    {"residual_30", "residual {}", 10, 32, 32, 6247242, "the experiment's script"},
    {"residual_15", "residual { depth: 15 }", 10, 32, 32, 2851658, "the experiment's script"},
    {"student_16x32x64", "plain_cnn { convolutions: [16, 32] hidden: 64 }", 10, 32, 32, 530090, "the experiment"},
    {"student_32x64x128", "plain_cnn { convolutions: [32, 64] hidden: 128 }", 10, 32, 32, 2117962, "the experiment"},
    {"student_48x96x256", "plain_cnn { convolutions: [48, 96] hidden: 256 }", 10, 32, 32, 6337194, "the experiment"},
    {"three_students_teacher", "plain_cnn { convolutions: [64, 128, 256] hidden: 512 }", 10, 32, 32, 33930890,
     "the experiment"},
    {"resnet18", "resnet {}", 100, 224, 224, 11227812, "torchvision resnet18"},
    {"resnet50_cifar", "resnet { depth: RESNET_50 stem: CIFAR }", 100, 32, 32, 23705252, "RepDistiller ResNet50"},
    {"resnet8", "cifar_resnet { depth: 8 }", 100, 32, 32, 83892, "references/definitions"},
    {"resnet14", "cifar_resnet { depth: 14 }", 100, 32, 32, 181108, "references/definitions"},
    {"resnet20", "cifar_resnet { depth: 20 }", 100, 32, 32, 278324, "RepDistiller resnet20"},
    {"resnet32", "cifar_resnet { depth: 32 }", 100, 32, 32, 472756, "RepDistiller resnet32"},
    {"resnet44", "cifar_resnet { depth: 44 }", 100, 32, 32, 667188, "references/definitions"},
    {"resnet56", "cifar_resnet { depth: 56 }", 100, 32, 32, 861620, "RepDistiller resnet56"},
    {"resnet110", "cifar_resnet { depth: 110 }", 100, 32, 32, 1736564, "RepDistiller resnet110"},
    {"resnet8x4", "cifar_resnet { depth: 8 stem_width: 32 width: 64 }", 100, 32, 32, 1233540, "RepDistiller resnet8x4"},
    {"resnet32x4", "cifar_resnet { depth: 32 stem_width: 32 width: 64 }", 100, 32, 32, 7433860,
     "RepDistiller resnet32x4"},
    {"wrn_16_2", "wide_resnet { depth: 16 widen: 2 }", 100, 32, 32, 703284, "RepDistiller wrn_16_2"},
    {"wrn_40_1", "wide_resnet { depth: 40 widen: 1 }", 100, 32, 32, 569780, "RepDistiller wrn_40_1"},
    {"wrn_40_2", "wide_resnet { depth: 40 widen: 2 }", 100, 32, 32, 2255156, "RepDistiller wrn_40_2"},
    {"wrn_28_10", "wide_resnet { depth: 28 widen: 10 }", 10, 32, 32, 36479194, "the paper's 36.5 million"},
    {"vgg8", "vgg { depth: VGG_8 }", 100, 32, 32, 3965028, "RepDistiller vgg8"},
    {"vgg11", "vgg { depth: VGG_11 }", 100, 32, 32, 9277284, "references/definitions"},
    {"vgg13", "vgg { depth: VGG_13 }", 100, 32, 32, 9462180, "RepDistiller vgg13"},
    {"vgg16", "vgg { depth: VGG_16 }", 100, 32, 32, 14774436, "references/definitions"},
    {"vgg19", "vgg { depth: VGG_19 }", 100, 32, 32, 20086692, "references/definitions"},
    {"mobilenet_v2_half", "mobilenet_v2 { form: BENCHMARK width_multiplier: 0.5 }", 100, 32, 32, 812836,
     "RepDistiller MobileNetV2"},
    {"shufflenet_v1", "shufflenet_v1 {}", 100, 32, 32, 949258, "RepDistiller ShuffleV1"},
    {"shufflenet_v2", "shufflenet_v2 { form: BENCHMARK }", 100, 32, 32, 1355528, "RepDistiller ShuffleV2"},
    {"mobilenet_v2", "mobilenet_v2 {}", 1000, 224, 224, 3504872, "torchvision mobilenet_v2"},
    {"mobilenet_v3_large", "mobilenet_v3 {}", 1000, 224, 224, 5483032, "torchvision mobilenet_v3_large"},
    {"mobilenet_v3_small", "mobilenet_v3 { size: SMALL }", 1000, 224, 224, 2542856, "torchvision mobilenet_v3_small"},
    {"shufflenet_v2_x0_5", "shufflenet_v2 { size: X0_5 }", 1000, 224, 224, 1366792, "torchvision shufflenet_v2_x0_5"},
    {"shufflenet_v2_x1_0", "shufflenet_v2 {}", 1000, 224, 224, 2278604, "torchvision shufflenet_v2_x1_0"},
    {"shufflenet_v2_x1_5", "shufflenet_v2 { size: X1_5 }", 1000, 224, 224, 3503624, "torchvision shufflenet_v2_x1_5"},
    {"shufflenet_v2_x2_0", "shufflenet_v2 { size: X2_0 }", 1000, 224, 224, 7393996, "torchvision shufflenet_v2_x2_0"},
    {"efficientnet_b0", "efficientnet {}", 1000, 224, 224, 5288548, "torchvision efficientnet_b0"},
    {"efficientnet_b1", "efficientnet { depth_multiplier: 1.1 }", 1000, 240, 240, 7794184,
     "torchvision efficientnet_b1"},
    {"efficientnet_b2", "efficientnet { width_multiplier: 1.1 depth_multiplier: 1.2 }", 1000, 260, 260, 9109994,
     "torchvision efficientnet_b2"},
    {"convnext_tiny", "convnext {}", 1000, 224, 224, 28589128, "torchvision convnext_tiny"},
    {"convnext_small", "convnext { size: SMALL }", 1000, 224, 224, 50223688, "torchvision convnext_small"},
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
    {"vit_large32", "vit { patch: 32 width: 1024 depth: 24 heads: 16 }", 1000, 224, 224, 306535400,
     "timm vit_large_patch32_224 with 1000 classes"},
    {"vit_tiny32", "vit { patch: 32 }", 1000, 224, 224, 6131560,
     "timm VisionTransformer(patch_size=32, embed_dim=192)"},
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
