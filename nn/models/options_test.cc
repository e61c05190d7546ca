// What the reference tests do not see, since they are without chance: dropout and stochastic depth, and refusals.

#include <ostream>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/linspace.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/nn/build_model.h"

namespace retort::nn {
namespace {

config::Model Parse(const std::string& text) {
  config::Model config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

struct Chance {
  std::string name;
  std::string config;
  bool random;  // whether two passes in training mode differ
};

void PrintTo(const Chance& chance, std::ostream* stream) { *stream << chance.config; }

class ChanceTest : public ::testing::TestWithParam<Chance> {};

TEST_P(ChanceTest, IsThereInTrainingAlone) {
  const std::unique_ptr<Model> model =
      BuildModel(Parse(GetParam().config), {}, /*seed=*/1, /*channels_last=*/true).value();
  const at::Tensor images = at::linspace(-2, 2, 4 * 3 * 32 * 32).sin().reshape({4, 3, 32, 32});
  const at::NoGradGuard no_grad;
  const auto same = [&] { return at::equal(model->Forward(images, {}).logits, model->Forward(images, {}).logits); };
  EXPECT_EQ(same(), !GetParam().random) << "training";
  model->SetTraining(false);
  EXPECT_TRUE(same()) << "evaluation";
}

const Chance kChances[] = {
    {"wide_resnet", "wide_resnet {}", false},
    {"wide_resnet_dropout", "wide_resnet { dropout: 0.3 }", true},
    {"plain_cnn", "plain_cnn { convolutions: [4] }", false},
    {"plain_cnn_dropout", "plain_cnn { convolutions: [4] dropout: 0.5 }", true},
    {"notebook_light_nn", "notebook_light_nn {}", true},
    {"notebook_light_nn_without", "notebook_light_nn { dropout: 0 }", false},
    {"notebook_deep_nn", "notebook_deep_nn { stage1: 4 stage2: 4 stage3: 4 stage4: 4 }", true},
    {"mobilenet_v2", "mobilenet_v2 {}", true},
    {"mobilenet_v2_benchmark", "mobilenet_v2 { form: BENCHMARK }", false},
    {"mobilenet_v2_benchmark_dropout", "mobilenet_v2 { form: BENCHMARK dropout: 0.2 }", true},
    {"mobilenet_v3", "mobilenet_v3 {}", true},
    {"mobilenet_v3_without", "mobilenet_v3 { dropout: 0 }", false},
    {"efficientnet_dropout", "efficientnet { drop_path: 0 }", true},
    {"efficientnet_drop_path", "efficientnet { dropout: 0 drop_path: 0.5 }", true},
    {"efficientnet_without", "efficientnet { dropout: 0 drop_path: 0 }", false},
    {"convnext_drop_path", "convnext { drop_path: 0.5 layer_scale: 1 }", true},
    {"convnext_without", "convnext { drop_path: 0 layer_scale: 1 }", false},
};

INSTANTIATE_TEST_SUITE_P(Families, ChanceTest, ::testing::ValuesIn(kChances),
                         [](const auto& test) { return test.param.name; });

struct Refusal {
  std::string name;
  std::string config;
  ModelShape shape;
  std::string message;  // a part of it
};

void PrintTo(const Refusal& refusal, std::ostream* stream) { *stream << refusal.config; }

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, NamesWhatIsPermitted) {
  const auto model = BuildModel(Parse(GetParam().config), GetParam().shape, /*seed=*/1, /*channels_last=*/false);
  ASSERT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()), ::testing::HasSubstr(GetParam().message));
}

const ModelShape kCifar = {};
const Refusal kRefusals[] = {
    {"cifar_resnet_depth", "cifar_resnet { depth: 18 }", kCifar, "depth 18 is not 6n + 2"},
    {"wide_resnet_depth", "wide_resnet { depth: 20 }", kCifar, "depth 20 is not 6n + 4"},
    {"residual_depth", "residual { depth: 6 }", kCifar, "choose at least 7"},
    {"plain_cnn_empty", "plain_cnn {}", kCifar, "convolutions: [32, 64]"},
    {"plain_cnn_odd", "plain_cnn { convolutions: 4 }", {3, 31, 32, 10}, "multiples of 2"},
    {"notebook_small", "notebook_deep_nn {}", {3, 15, 32, 10}, "at least 16"},
    {"vgg_small", "vgg {}", {3, 32, 7, 10}, "at least 8"},
    {"convnext_small", "convnext {}", {3, 31, 32, 10}, "at least 32"},
    {"mobilenet_v2_narrow", "mobilenet_v2 { form: BENCHMARK width_multiplier: 0.06 }", kCifar, "at least 0.0625"},
    {"shufflenet_v1_groups", "shufflenet_v1 { width: 240 groups: 4 }", kCifar, "does not go with groups 4"},
    {"no_channels", "mobilenet_v3 {}", {0, 32, 32, 10}, "must be positive"},
    {"no_classes", "efficientnet {}", {3, 32, 32, 0}, "must be positive"},
    {"no_height", "shufflenet_v2 {}", {3, 0, 32, 10}, "must be positive"},
    {"no_width", "cifar_resnet {}", {3, 32, 0, 10}, "must be positive"},
};

INSTANTIATE_TEST_SUITE_P(Families, RefusalTest, ::testing::ValuesIn(kRefusals),
                         [](const auto& test) { return test.param.name; });

// The least images that a family promises to take.
struct Smallest {
  std::string config;
  int64_t size;
};

TEST(Smallest, ImagesPass) {
  const Smallest cases[] = {
      {"cifar_resnet {}", 1},      {"wide_resnet {}", 1},   {"residual { width: 4 }", 1},
      {"vgg { depth: VGG_8 }", 8}, {"mobilenet_v2 {}", 1},  {"mobilenet_v2 { form: BENCHMARK }", 1},
      {"shufflenet_v1 {}", 1},     {"shufflenet_v2 {}", 1}, {"shufflenet_v2 { form: BENCHMARK }", 1},
      {"mobilenet_v3 {}", 1},      {"efficientnet {}", 1},  {"convnext {}", 32},
      {"notebook_light_nn {}", 4},
  };
  const at::NoGradGuard no_grad;
  for (const auto& [text, size] : cases) {
    const std::unique_ptr<Model> model =
        BuildModel(Parse(text), {/*channels=*/1, size, size, /*classes=*/3}, /*seed=*/1, /*channels_last=*/true)
            .value();
    model->SetTraining(false);
    const at::Tensor logits =
        model->Forward(at::linspace(0, 1, 2 * size * size).reshape({2, 1, size, size}), {}).logits;
    EXPECT_EQ(logits.sizes().vec(), (std::vector<int64_t>{2, 3})) << text;
  }
}

}  // namespace
}  // namespace retort::nn
