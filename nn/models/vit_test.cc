// What reference_test cannot see: dropout, drop path, attention on demand, training in bf16, refused options.
#include "retort/nn/models/vit.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/eye.h"
#include "ATen/ops/randn.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "torch/csrc/autograd/autograd.h"

namespace retort::nn {
namespace {

constexpr int64_t kBatch = 512;
constexpr int64_t kWidth = 8;

config::Vit Config(const std::string& options) {
  config::Vit config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(options, &config)) << options;
  return config;
}

// Two patches, four tokens with both others.
std::unique_ptr<Model> Make(const std::string& options) {
  at::manual_seed(42);
  return MakeVit(Config("patch: 4 width: 8 heads: 2 " + options), {3, 4, 8, 10}).value();
}

at::Tensor Images() {
  at::manual_seed(1);
  return at::randn({kBatch, 3, 4, 8});
}

at::Tensor Parameter(const Model& model, const std::string& name) {
  for (const auto& [key, parameter] : model.Parameters()) {
    if (key == name) return parameter;
  }
  ADD_FAILURE() << name << " is not there";
  return {};
}

// weight x + bias becomes `value` for any x.
void MakeConstant(const Model& model, const std::string& layer, double value) {
  const at::NoGradGuard no_grad;
  Parameter(model, layer + ".weight").zero_();
  Parameter(model, layer + ".bias").fill_(value);
}

// Every element is 0 with probability `rate`, within five standard deviations, and else `value`.
void ExpectDropped(const at::Tensor& elements, double rate, double value, const std::string& what) {
  const at::Tensor dropped = elements == 0;
  const auto count = static_cast<double>(elements.numel());
  EXPECT_NEAR(dropped.sum().item<double>() / count, rate, 5 * std::sqrt(rate * (1 - rate) / count)) << what;
  EXPECT_LE((elements.masked_fill(dropped, value) - value).abs().max().item<double>(), 1e-4 * value) << what;
}

// What a block adds to each token, without gradient. Seeded.
at::Tensor Added(Model* model, int block, const std::vector<std::string>& more_taps = {}) {
  const std::string before = block == 1 ? "embed" : "block" + std::to_string(block - 1);
  const std::string after = "block" + std::to_string(block);
  std::vector<std::string> taps = more_taps;
  taps.push_back(before);
  taps.push_back(after);
  const at::NoGradGuard no_grad;
  at::manual_seed(7);
  const Outputs outputs = model->Forward(Images(), {false, taps});
  return (outputs.taps.at(after) - outputs.taps.at(before)).mul(1e4).round().div(1e4);  // x + 0 - x is not exact
}

TEST(VitDropoutTest, DropsTokensWithTheirPositions) {
  const std::unique_ptr<Model> model = Make("depth: 1 distillation_token: true position_dropout: 0.3");
  const at::NoGradGuard no_grad;
  const Request request = {false, {"embed"}};
  model->SetTraining(false);
  const at::Tensor whole = model->Forward(Images(), request).taps.at("embed");
  model->SetTraining(true);
  ExpectDropped(model->Forward(Images(), request).taps.at("embed") / whole, 0.3, 1 / 0.7, "tokens");
}

TEST(VitDropoutTest, DropsTheOutputOfAttention) {
  const std::unique_ptr<Model> model = Make("depth: 1 projection_dropout: 0.2");
  MakeConstant(*model, "blocks.0.attn.proj", 1);
  MakeConstant(*model, "blocks.0.mlp.fc2", 0);
  ExpectDropped(Added(model.get(), 1), 0.2, 1 / 0.8, "attention branch");
}

TEST(VitDropoutTest, DropsTheOutputOfTheMlp) {
  const std::unique_ptr<Model> model = Make("depth: 1 mlp_dropout: 0.2");
  MakeConstant(*model, "blocks.0.attn.proj", 0);
  MakeConstant(*model, "blocks.0.mlp.fc2", 1);
  ExpectDropped(Added(model.get(), 1), 0.2, 1 / 0.8, "MLP branch");
}

// fc2 is the identity, so that an element comes through where neither dropout took it.
TEST(VitDropoutTest, DropsHiddenUnitsOfTheMlp) {
  const std::unique_ptr<Model> model = Make("depth: 1 mlp_dropout: 0.2 mlp_ratio: 1");
  MakeConstant(*model, "blocks.0.attn.proj", 0);
  MakeConstant(*model, "blocks.0.mlp.fc1", 10);  // GELU(10) = 10
  MakeConstant(*model, "blocks.0.mlp.fc2", 0);
  {
    const at::NoGradGuard no_grad;
    Parameter(*model, "blocks.0.mlp.fc2.weight").copy_(at::eye(kWidth));
  }
  ExpectDropped(Added(model.get(), 1), 1 - 0.8 * 0.8, 10 / (0.8 * 0.8), "MLP branch");
}

// Equal queries give probabilities 1/T; values are 1, so that a sum over tokens counts the survivors.
TEST(VitDropoutTest, DropsAttentionProbabilitiesWithAndWithoutTheTap) {
  const std::unique_ptr<Model> model = Make("depth: 1 attention_dropout: 0.25");
  MakeConstant(*model, "blocks.0.attn.qkv", 1);
  MakeConstant(*model, "blocks.0.attn.proj", 0);
  MakeConstant(*model, "blocks.0.mlp.fc2", 0);
  {
    const at::NoGradGuard no_grad;
    Parameter(*model, "blocks.0.attn.proj.weight").copy_(at::eye(kWidth));
  }
  constexpr double kTokens = 3;
  const std::vector<std::vector<std::string>> taps = {{}, {"block1.attention"}};
  for (const auto& more_taps : taps) {
    const at::Tensor survivors = Added(model.get(), 1, more_taps) * (kTokens * 0.75);  // of 3 tokens, in each head
    const at::Tensor of_heads = survivors.reshape({kBatch, 3, 2, kWidth / 2});
    EXPECT_LE((of_heads - of_heads.round()).abs().max().item<double>(), 1e-3);
    EXPECT_LE((of_heads - of_heads.mean(3, /*keepdim=*/true)).abs().max().item<double>(), 1e-3);
    const auto draws = static_cast<double>(of_heads.numel()) / (kWidth / 2) * kTokens;
    EXPECT_NEAR(of_heads.mean().item<double>() / kTokens, 0.75, 5 * std::sqrt(0.25 * 0.75 / draws));
    EXPECT_GT((of_heads.select(2, 0) != of_heads.select(2, 1)).sum().item<int64_t>(), 0) << "heads share a mask";
  }
}

// All tokens of a sample go together, samples do not; rates grow linearly, and both branches draw for themselves.
TEST(VitDropPathTest, DropsBranchesBySample) {
  const std::unique_ptr<Model> model = Make("depth: 3 drop_path: 0.4");
  for (int block = 0; block < 3; ++block) {
    const std::string name = "blocks." + std::to_string(block);
    MakeConstant(*model, name + ".attn.proj", 1);
    MakeConstant(*model, name + ".mlp.fc2", 10);
  }
  for (int block = 1; block <= 3; ++block) {
    const double rate = 0.2 * (block - 1);
    const at::Tensor added = Added(model.get(), block);
    const at::Tensor of_samples = added.select(1, 0).select(1, 0);
    EXPECT_LE((added - of_samples.reshape({kBatch, 1, 1})).abs().max().item<double>(), 1e-3);
    const at::Tensor mlp = (of_samples / (10 / (1 - rate))).floor() * (10 / (1 - rate));
    ExpectDropped(mlp, rate, 10 / (1 - rate), "MLP branch of block " + std::to_string(block));
    ExpectDropped((of_samples - mlp).mul(1e4).round().div(1e4), rate, 1 / (1 - rate),
                  "attention branch of block " + std::to_string(block));
  }
}

TEST(VitDropPathTest, EvaluationDropsNothing) {
  const std::string options = "depth: 2 ";
  const std::unique_ptr<Model> plain = Make(options);
  const std::unique_ptr<Model> model = Make(
      options + "drop_path: 0.5 position_dropout: 0.5 attention_dropout: 0.5 projection_dropout: 0.5 mlp_dropout: 0.5");
  plain->SetTraining(false);
  model->SetTraining(false);
  const Request request = {true, {"block1.attention", "block2"}};
  EXPECT_TRUE(at::equal(model->Forward(Images(), request).logits, plain->Forward(Images(), request).logits));
}

TEST(VitDistillationTest, EvaluationAveragesBothClassifiers) {
  const std::unique_ptr<Model> model = Make("depth: 1 distillation_token: true");
  const at::Tensor images = Images();
  const Outputs training = model->Forward(images, {});
  ASSERT_TRUE(training.distillation_logits.defined());
  EXPECT_FALSE(at::equal(training.logits, training.distillation_logits));
  model->SetTraining(false);
  const Outputs evaluation = model->Forward(images, {});
  EXPECT_FALSE(evaluation.distillation_logits.defined());
  EXPECT_TRUE(at::equal(evaluation.logits, (training.logits + training.distillation_logits) / 2));
}

// Blocks whose attention is asked for can be differentiated twice.
TEST(VitAttentionTest, HasASecondDerivativeStepByStep) {
  const std::unique_ptr<Model> model = Make("depth: 2");
  at::Tensor images = Images().narrow(0, 0, 2);
  images.set_requires_grad(true);
  const Outputs outputs = model->Forward(images, {false, {"block1.attention", "block2.attention"}});
  const at::Tensor gradient = torch::autograd::grad({outputs.logits.square().sum()}, {images}, /*grad_outputs=*/{},
                                                    /*retain_graph=*/true, /*create_graph=*/true)[0];
  const at::Tensor second = torch::autograd::grad({gradient.square().sum()}, {images})[0];
  EXPECT_GT(second.norm().item<double>(), 0);
}

TEST(VitAttentionTest, ProbabilitiesAddUpToOne) {
  const std::unique_ptr<Model> model = Make("depth: 1 attention_dropout: 0.5");
  const Outputs outputs = model->Forward(Images(), {false, {"block1.attention"}});
  const at::Tensor& attention = outputs.taps.at("block1.attention");
  EXPECT_EQ(attention.sizes().vec(), (std::vector<int64_t>{kBatch, 2, 3, 3}));
  EXPECT_LE((attention.sum(3) - 1).abs().max().item<double>(), 1e-6);
}

// Seventeen tokens, two blocks, two heads of width 12, so that the scale is not a power of two. Weights are exact in
// bf16, and such that each linear layer keeps the variance of its input; queries, keys and scores have variance 1.
std::unique_ptr<Model> MakeExact(at::ScalarType type) {
  at::manual_seed(42);
  std::unique_ptr<Model> model = MakeVit(Config("patch: 4 width: 24 heads: 2 depth: 2"), {3, 16, 16, 10}).value();
  const at::NoGradGuard no_grad;
  for (auto [name, parameter] : model->Parameters()) {
    if (parameter.dim() == 2) parameter.normal_(0, 1 / std::sqrt(static_cast<double>(parameter.size(1))));
    parameter.set_data(parameter.detach().to(at::kBFloat16).to(type));
  }
  return model;
}

// Of variance 1, in bf16.
at::Tensor Noise(const std::vector<int64_t>& sizes, uint64_t seed) {
  at::manual_seed(seed);
  return at::randn(sizes).to(at::kBFloat16);
}

double RelativeError(const at::Tensor& found, const at::Tensor& exact) {
  const at::Tensor norm = exact.to(at::kDouble).norm();
  return ((found.to(at::kDouble) - exact.to(at::kDouble)).norm() / norm).item<double>();
}

// Relative to a tensor, in root mean square. A rounding to bf16, which has 8 bits, errs by 1/256 of its element at most
// and evenly up to that, so by 1/256/sqrt(3). Errors are independent, so their squares add up; layers neither amplify
// nor damp them, as MakeExact() has them.
double ErrorOfRoundings(double count) { return std::sqrt(count / 3) / 256; }

// From images to logits: patches and their positions; in each block 13, which are two norms, two sums, GELU, four
// linear layers, scaled queries, scores, shares and their mix; the last norm and the head.
constexpr double kRoundings = 2 + 2 * 13 + 2;

// Where gradients are wanted, attention is made of two products, else it is the fused kernel.
TEST(VitBf16Test, LogitsOfTrainingAreThoseWithoutGradients) {
  const std::unique_ptr<Model> model = MakeExact(at::kBFloat16);
  const at::Tensor images = Noise({32, 3, 16, 16}, 1);
  const at::Tensor logits = model->Forward(images, {}).logits;
  ASSERT_TRUE(logits.requires_grad());
  const at::NoGradGuard no_grad;
  EXPECT_LE(RelativeError(logits, model->Forward(images, {}).logits), ErrorOfRoundings(2 * kRoundings));
}

// Of the weights of queries, keys and values each alone, since values have the largest gradients.
TEST(VitBf16Test, GradientsAreThoseOfF32) {
  std::vector<NamedTensor> parameters;
  std::vector<std::vector<at::Tensor>> gradients;
  for (const at::ScalarType type : {at::kBFloat16, at::kFloat}) {
    const std::unique_ptr<Model> model = MakeExact(type);
    parameters = model->Parameters();
    std::vector<at::Tensor> inputs;
    for (const auto& [name, parameter] : parameters) inputs.push_back(parameter);
    const at::Tensor logits = model->Forward(Noise({32, 3, 16, 16}, 1).to(type), {}).logits;
    gradients.push_back(torch::autograd::grad({(logits * Noise({32, 10}, 2).to(type)).sum()}, inputs));
  }
  // There are as many roundings on the way back, and the derivatives of the 15 layers that are not linear (in each
  // block two norms, scores by queries and by keys, shares, their mix, GELU; the last norm) are taken at rounded
  // inputs.
  const double bound = ErrorOfRoundings(kRoundings + 15 * kRoundings);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters[i].first;
    const int64_t parts = name.find("qkv.weight") == std::string::npos ? 1 : 3;
    const auto found = gradients[0][i].chunk(parts), exact = gradients[1][i].chunk(parts);
    for (size_t part = 0; part < found.size(); ++part) {
      EXPECT_LE(RelativeError(found[part], exact[part]), bound) << name << " part " << part;
    }
  }
}

TEST(MakeVitTest, RefusesBadCombinationsByName) {
  struct BadCase {
    std::string options;
    ModelShape shape;
    std::string named;
  };
  const BadCase cases[] = {
      {"patch: 16", {3, 32, 40, 10}, "32x40"},
      {"patch: 16", {3, 8, 8, 10}, "multiples"},
      {"patch: 16", {3, 32, 32, 0}, "vit"},
      {"patch: 16 width: 100 heads: 3", {3, 32, 32, 10}, "3 heads"},
      {"patch: 16 width: 9 mlp_ratio: 0.1", {3, 32, 32, 10}, "mlp_ratio"},
      {"patch: 16 class_token: false", {3, 32, 32, 10}, "pool: MEAN"},
      {"patch: 16 class_token: false pool: MEAN distillation_token: true", {3, 32, 32, 10}, "distillation_token"},
      {"patch: 16 pool: MEAN distillation_token: true", {3, 32, 32, 10}, "CLASS_TOKEN"},
  };
  for (const BadCase& bad : cases) {
    const absl::Status status = MakeVit(Config(bad.options), bad.shape).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.options;
    EXPECT_NE(status.message().find(bad.named), absl::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace retort::nn
