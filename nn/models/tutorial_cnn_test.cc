#include "retort/nn/models/tutorial_cnn.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/testing/gradient_check.h"

namespace retort::nn {
namespace {

// Two stages, one of which pools.
constexpr ModelShape kShape = {/*channels=*/2, /*height=*/4, /*width=*/6, /*classes=*/3};

// A small network in float64 with weights and biases that are all different.
std::unique_ptr<Model> Small(double dropout) {
  TutorialCnn architecture;
  architecture.stages = {{3, false}, {4, true}};
  architecture.hidden = 5;
  architecture.dropout = dropout;
  std::unique_ptr<Model> model = MakeTutorialCnn(architecture, kShape).value();
  double phase = 0;
  for (const auto& [name, parameter] : model->Parameters()) {
    phase += 0.7;
    const at::Tensor values = (at::arange(parameter.numel(), at::kDouble) * 1.9 + phase).sin() * 0.5;
    parameter.set_data(values.reshape(parameter.sizes()));
  }
  return model;
}

at::Tensor Images() { return (at::arange(2 * 2 * 4 * 6, at::kDouble) * 0.37).sin().reshape({2, 2, 4, 6}); }

at::Tensor Parameter(const Model& model, const std::string& name) {
  for (const auto& [candidate, parameter] : model.Parameters()) {
    if (candidate == name) return parameter.detach();
  }
  ADD_FAILURE() << name;
  return {};
}

// Plain loops, in the tutorial's order: convolution, ReLU, pool.
at::Tensor ExpectedStage(const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias, bool pool) {
  const int64_t batch = images.size(0), height = images.size(2), width = images.size(3), filters = weight.size(0);
  const auto x = images.accessor<double, 4>();
  const auto w = weight.accessor<double, 4>();
  const auto b = bias.accessor<double, 1>();
  const auto relu = [&](int64_t n, int64_t f, int64_t row, int64_t column) {
    double sum = b[f];
    for (int64_t c = 0; c < images.size(1); ++c) {
      for (int64_t i = -1; i <= 1; ++i) {
        for (int64_t j = -1; j <= 1; ++j) {
          if (row + i < 0 || row + i >= height || column + j < 0 || column + j >= width) continue;
          sum += w[f][c][i + 1][j + 1] * x[n][c][row + i][column + j];
        }
      }
    }
    return std::max(sum, 0.0);
  };
  const int64_t step = pool ? 2 : 1;
  at::Tensor output = at::arange(batch * filters * (height / step) * (width / step), at::kDouble)
                          .reshape({batch, filters, height / step, width / step});
  auto y = output.accessor<double, 4>();
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t f = 0; f < filters; ++f) {
      for (int64_t r = 0; r < height; r += step) {
        for (int64_t c = 0; c < width; c += step) {
          double largest = 0;
          for (int64_t i = 0; i < step * step; ++i) {
            largest = std::max(largest, relu(n, f, r + i / step, c + i % step));
          }
          y[n][f][r / step][c / step] = largest;
        }
      }
    }
  }
  return output;
}

at::Tensor ExpectedLinear(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias) {
  return (input.unsqueeze(1) * weight.unsqueeze(0)).sum(2) + bias;
}

struct Case {
  std::string name;
  at::MemoryFormat format;
};

class TutorialCnnLayoutTest : public ::testing::TestWithParam<Case> {};

TEST_P(TutorialCnnLayoutTest, EqualsPlainLoops) {
  const std::unique_ptr<Model> model = Small(/*dropout=*/0.5);
  model->SetTraining(false);
  const at::Tensor conv1 = ExpectedStage(Images(), Parameter(*model, "features.0.weight"),
                                         Parameter(*model, "features.0.bias"), /*pool=*/false);
  const at::Tensor features =
      ExpectedStage(conv1, Parameter(*model, "features.2.weight"), Parameter(*model, "features.2.bias"), /*pool=*/true);
  const at::Tensor embedding = features.reshape({2, 4 * 2 * 3});
  const at::Tensor hidden =
      ExpectedLinear(embedding, Parameter(*model, "classifier.0.weight"), Parameter(*model, "classifier.0.bias"))
          .clamp_min(0);
  const at::Tensor logits =
      ExpectedLinear(hidden, Parameter(*model, "classifier.3.weight"), Parameter(*model, "classifier.3.bias"));

  const Outputs outputs = model->Forward(Images().contiguous(GetParam().format), {true, {"conv1", "features"}});
  EXPECT_LT((outputs.taps.at("conv1") - conv1).abs().max().item<double>(), 1e-12);
  EXPECT_LT((outputs.taps.at("features") - features).abs().max().item<double>(), 1e-12);
  EXPECT_LT((outputs.embedding - embedding).abs().max().item<double>(), 1e-12);
  EXPECT_LT((outputs.logits - logits).abs().max().item<double>(), 1e-12);
}

TEST_P(TutorialCnnLayoutTest, GradientsAreThoseOfCentralDifferences) {
  const std::unique_ptr<Model> model = Small(/*dropout=*/0);
  const at::Tensor images = Images().contiguous(GetParam().format);
  const auto loss = [&](const at::Tensor& x) { return model->Forward(x, {}).logits.square().sum(); };
  EXPECT_LT(testing::GradientError(loss, images), 1e-6);
  for (auto& [name, parameter] : model->Parameters()) {
    const at::Tensor weights = parameter.detach().clone();
    const auto of_parameter = [&, &parameter = parameter](const at::Tensor& values) {
      // The loss as seen from `values`: its gradient is what reaches the parameter.
      parameter.set_data(values.detach());
      parameter.mutable_grad().reset();
      const at::Tensor value = loss(images);
      if (!values.requires_grad()) return value;
      value.backward();
      return (values * parameter.grad().detach()).sum();
    };
    EXPECT_LT(testing::GradientError(of_parameter, weights), 1e-6) << name;
    parameter.set_data(weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, TutorialCnnLayoutTest,
                         ::testing::Values(Case{"contiguous", at::MemoryFormat::Contiguous},
                                           Case{"channels_last", at::MemoryFormat::ChannelsLast}),
                         [](const auto& test) { return test.param.name; });

TEST(TutorialCnnTest, ComputesOnlyWhatIsAskedFor) {
  const Outputs outputs = Small(0)->Forward(Images(), {false, {"conv1"}});
  EXPECT_FALSE(outputs.embedding.defined());
  EXPECT_EQ(outputs.taps.size(), 1u);
  EXPECT_EQ(outputs.taps.count("conv1"), 1u);
}

// Of 20 further forward passes, how many differ from the first.
int Differing(Model& model) {
  const at::Tensor first = model.Forward(Images(), {}).logits;
  int differing = 0;
  for (int i = 0; i < 20; ++i) differing += at::equal(model.Forward(Images(), {}).logits, first) ? 0 : 1;
  return differing;
}

TEST(TutorialCnnTest, DropsUnitsInTrainingOnly) {
  const std::unique_ptr<Model> model = Small(0.5);
  EXPECT_GT(Differing(*model), 0);
  model->SetTraining(false);
  EXPECT_EQ(Differing(*model), 0);
  model->SetTraining(true);
  EXPECT_GT(Differing(*model), 0);
}

TEST(TutorialCnnErrorTest, RefusesShapesThatDoNotFit) {
  TutorialCnn architecture;
  architecture.stages = {{3, true}, {4, true}};
  architecture.hidden = 5;
  for (const ModelShape& shape : {ModelShape{3, 30, 32, 10}, ModelShape{3, 32, 2, 10}, ModelShape{3, 0, 32, 10},
                                  ModelShape{0, 32, 32, 10}, ModelShape{3, 32, 32, 0}, ModelShape{3, -4, 32, 10}}) {
    const absl::Status status = MakeTutorialCnn(architecture, shape).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("multiples of 4"), absl::string_view::npos) << status;
  }
  EXPECT_TRUE(MakeTutorialCnn(architecture, {1, 4, 8, 1}).ok());
}

}  // namespace
}  // namespace retort::nn
