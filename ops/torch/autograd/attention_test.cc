#include "retort/ops/torch/autograd/attention.h"

#include <cmath>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "ATen/CPUGeneratorImpl.h"
#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/allclose.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/zeros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "torch/csrc/autograd/autograd.h"

#include "retort/testing/gradient_check.h"
#include "retort/testing/tensor_memory.h"

namespace retort::ops::torch {
namespace {

using ::testing::HasSubstr;

// 0, factor, 2 factor, ... along dimension `dim` of four.
at::Tensor Ramp(int64_t size, double factor, int64_t dim) {
  std::vector<int64_t> shape(4, 1);
  shape[static_cast<size_t>(dim)] = size;
  return (at::arange(size, at::kDouble) * factor).reshape(shape);
}

// The maps that the published values are for.
at::Tensor Student() { return (Ramp(4, 0.3, 0) + Ramp(6, 0.5, 1) + Ramp(8, 1.1, 2) + Ramp(8, -0.7, 3) + 0.05).sin(); }

at::Tensor Teacher(int64_t size) {
  return (Ramp(4, 0.2, 0) + Ramp(8, -0.4, 1) + Ramp(size, 0.9, 2) + Ramp(size, 1.3, 3)).cos();
}

// Without two channels of nearly the same magnitude, as sines have them.
at::Tensor Features() { return at::randn({4, 6, 8, 8}, at::detail::createCPUGenerator(17), at::kDouble); }

TEST(AttentionTransferTest, EqualsThePublishedValuesInBothPrecisionsAndLayouts) {
  for (const auto& [size, value, norm] :
       {std::tuple{8, 2.1863983117e-05, 8.41847366035e-05}, {4, 7.6963954498e-05, 3.94340693914e-04}}) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      for (const at::MemoryFormat format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
        const at::Tensor f = Student().to(type).contiguous(format).set_requires_grad(true);
        const at::Tensor target = *ActivationMap(Teacher(size).to(type).contiguous(format), {});
        const at::Tensor loss = *AttentionTransfer(f, target, {});
        const double tolerance = type == at::kDouble ? 1e-9 : 1e-4;
        EXPECT_NEAR(loss.item<double>(), value, tolerance * value);
        loss.backward();
        EXPECT_NEAR(f.grad().norm().item<double>(), norm, tolerance * norm);
        EXPECT_TRUE(f.grad().is_contiguous(format));
      }
    }
  }
}

TEST(AttentionTransferTest, OnCUDAEqualsThePublishedValues) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  for (const at::MemoryFormat format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    const auto there = [format](const at::Tensor& x) { return x.to(at::kCUDA, at::kFloat).contiguous(format); };
    const at::Tensor f = there(Student()).set_requires_grad(true);
    const at::Tensor loss = *AttentionTransfer(f, *ActivationMap(there(Teacher(8)), {}), {});
    EXPECT_NEAR(loss.item<double>(), 2.1863983117e-05, 1e-4 * 2.2e-05);
    loss.backward();
    EXPECT_NEAR(f.grad().norm().item<double>(), 8.41847366035e-05, 1e-4 * 8.4e-05);
  }
}

// Features that are a part of others, or channels_last, are read where they lie; the gradient is the only tensor as
// large that is made.
TEST(AttentionTransferTest, TakesFeaturesAsTheyLie) {
  const at::Tensor whole = at::randn({5, 12, 9, 16}, at::detail::createCPUGenerator(3), at::kFloat);
  const struct {
    const char* name;
    at::Tensor features;
    int copies;
  } cases[] = {
      {"Planar", whole, 0},
      {"ChannelsLast", whole.contiguous(at::MemoryFormat::ChannelsLast), 0},
      {"SomeImages", whole.slice(0, 1, 5, 2), 0},
      {"SomeChannels", whole.slice(1, 2, 9), 0},
      {"SomeRows", whole.slice(2, 1, 9, 3), 0},
      {"SomeColumns", whole.slice(3, 3, 13), 0},
      {"SomeOfChannelsLast", whole.contiguous(at::MemoryFormat::ChannelsLast).slice(1, 0, 7).slice(3, 0, 9), 0},
      {"EverySecondColumn", whole.slice(3, 0, 16, 2), 1}};
  for (const auto& [name, features, copies] : cases) {
    const at::Tensor target = *ActivationMap(features.contiguous(), {});
    const at::Tensor expected = *AttentionTransfer(features.contiguous(), target * 0.5, {}), half = target * 0.5;
    at::Tensor loss, map;
    EXPECT_EQ(testing::TensorAllocations(features.nbytes(), [&] { map = *ActivationMap(features, {}); }), copies)
        << name;
    EXPECT_EQ(testing::TensorAllocations(features.nbytes(), [&] { loss = *AttentionTransfer(features, half, {}); }),
              1 + copies)
        << name;
    EXPECT_TRUE(at::allclose(map, target)) << name;
    EXPECT_TRUE(at::allclose(loss, expected)) << name;
  }
}

// 60x60 places in rows of 64 are more than a block keeps; alone they are not.
TEST(ActivationMapTest, OnCUDATakesSlicesOfManyPlaces) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  const at::Tensor slice = at::randn({2, 3, 60, 64}, at::TensorOptions(at::kCUDA)).slice(3, 0, 60);
  const at::Tensor map = *ActivationMap(slice, {}), same = *ActivationMap(slice.cpu(), {});
  EXPECT_LT((map.cpu() - same).abs().max().item<double>(), 1e-6);
}

class ActivationKindTest : public ::testing::TestWithParam<std::tuple<ActivationKind, bool>> {
 protected:
  ActivationMapParameters Parameters() const { return {std::get<0>(GetParam()), std::get<1>(GetParam())}; }

  at::Tensor OfMap(const at::Tensor& features) const {
    const at::Tensor map = *ActivationMap(features, Parameters());
    return (map * at::arange(64, map.options()).reshape({8, 8})).sum();
  }

  at::Tensor OfLoss(const at::Tensor& features) const {
    const at::Tensor target = *ActivationMap(Teacher(8).to(features.scalar_type()), Parameters());
    return *AttentionTransfer(features, target, Parameters());
  }
};

TEST_P(ActivationKindTest, FusedAndPlainFormulaAgree) {
  for (const bool loss : {false, true}) {
    std::vector<at::Tensor> gradients, values;
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      const at::Tensor f = Features().to(type).set_requires_grad(true);
      const at::Tensor value = loss ? OfLoss(f) : OfMap(f);
      (value * 2).backward();
      values.push_back(value);
      gradients.push_back(f.grad().to(at::kDouble));
    }
    EXPECT_NEAR(values[0].item<double>(), values[1].item<double>(), 1e-4 * std::abs(values[0].item<double>()));
    EXPECT_LT((gradients[0] - gradients[1]).abs().max().item<double>(), 1e-4 * gradients[0].abs().max().item<double>());
  }
}

TEST_P(ActivationKindTest, PlainFormulaHasTheGradientOfCentralDifferences) {
  const at::Tensor f = Features().slice(0, 0, 1);
  EXPECT_LT(testing::GradientError([&](const at::Tensor& x) { return OfMap(x); }, f), 1e-4);
}

TEST_P(ActivationKindTest, IsTwiceDifferentiable) {
  std::vector<at::Tensor> second;
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const at::Tensor f = Features().to(type).set_requires_grad(true);
    const at::Tensor gradient =
        ::torch::autograd::grad({OfMap(f).square()}, {f}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
    gradient.square().sum().backward();
    second.push_back(f.grad().to(at::kDouble));
  }
  EXPECT_LT((second[0] - second[1]).abs().max().item<double>(), 1e-3 * second[0].abs().max().item<double>());
}

// The map of the larger student, averaged to 3x5, which does not divide 8x8.
TEST_P(ActivationKindTest, AveragedMapsHaveTheGradientsOfCentralDifferences) {
  const at::Tensor target = *ActivationMap(Features().slice(0, 1, 3).slice(2, 0, 3).slice(3, 0, 5), Parameters());
  const auto loss = [&](const at::Tensor& x) {
    return *AttentionTransfer(x, target.to(x.scalar_type()), Parameters(), Pooling::kMap);
  };
  const auto gradient_square = [&](const at::Tensor& x) {
    const at::AutoGradMode grad(true);
    const at::Tensor leaf = x.requires_grad() ? x : x.detach().set_requires_grad(true);
    return ::torch::autograd::grad({loss(leaf)}, {leaf}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0]
        .square()
        .sum();
  };
  const at::Tensor f = Features().slice(0, 0, 2);
  EXPECT_LT(testing::GradientError(loss, f), 1e-6);
  EXPECT_LT(testing::GradientError(gradient_square, f), 1e-5);

  // The fused map, with its plain formula where it is differentiated twice.
  for (const auto& of : {std::function<at::Tensor(const at::Tensor&)>(loss), {gradient_square}}) {
    std::vector<at::Tensor> gradients;
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      const at::Tensor leaf = f.to(type, /*non_blocking=*/false, /*copy=*/true).set_requires_grad(true);
      of(leaf).backward();
      gradients.push_back(leaf.grad().to(at::kDouble));
    }
    EXPECT_LT((gradients[0] - gradients[1]).abs().max().item<double>(), 1e-3 * gradients[0].abs().max().item<double>());
  }
}

TEST_P(ActivationKindTest, PoolingDoesNotMatterWhereSizesAgree) {
  const at::Tensor target = *ActivationMap(Teacher(8).to(at::kFloat), Parameters());
  std::vector<at::Tensor> losses, gradients;
  for (const Pooling pooling : {Pooling::kFeatures, Pooling::kMap}) {
    const at::Tensor f = Features().to(at::kFloat).set_requires_grad(true);
    losses.push_back(*AttentionTransfer(f, target, Parameters(), pooling));
    losses.back().backward();
    gradients.push_back(f.grad());
  }
  EXPECT_TRUE(at::equal(losses[0], losses[1]));
  EXPECT_TRUE(at::equal(gradients[0], gradients[1]));
}

INSTANTIATE_TEST_SUITE_P(Kinds, ActivationKindTest,
                         ::testing::Combine(::testing::Values(ActivationKind::kMeanAbsolute,
                                                              ActivationKind::kMeanSquare, ActivationKind::kMeanFourth,
                                                              ActivationKind::kMaximum),
                                            ::testing::Bool()));

TEST(ActivationMapTest, NoticesFeaturesThatWereWrittenToSince) {
  const at::Tensor leaf = at::randn({2, 3, 4, 5}).requires_grad_(), features = leaf * 2;
  const at::Tensor map = *ActivationMap(features, {});
  features.relu_();
  EXPECT_THROW(map.sum().backward(), c10::Error);
}

// Windows of 4x4 places of the student's mean square, each averaged, beside the teacher's 2x2.
TEST(AttentionTransferTest, AveragesTheMapOrTheFeaturesAsAsked) {
  const at::Tensor f = Features(), teacher = Teacher(2).square().mean(1);
  const auto windows = [](const at::Tensor& planes) {  // [...,8,8] -> [...,2,2]
    std::vector<int64_t> shape = planes.sizes().slice(0, planes.dim() - 2).vec();
    shape.insert(shape.end(), {2, 4, 2, 4});
    return planes.reshape(shape).mean(at::IntArrayRef{-3, -1});
  };
  const auto length = [](const at::Tensor& map) { return map.square().sum(at::IntArrayRef{1, 2}, true).sqrt(); };
  for (const bool normalize : {false, true}) {
    const ActivationMapParameters parameters = {ActivationKind::kMeanSquare, normalize};
    const at::Tensor target = normalize ? teacher / length(teacher) : teacher;
    for (const Pooling pooling : {Pooling::kFeatures, Pooling::kMap}) {
      const at::Tensor map = pooling == Pooling::kMap ? windows(f.square().mean(1)) : windows(f).square().mean(1);
      const double expected = ((normalize ? map / length(map) : map) - target).square().mean().item<double>();
      EXPECT_NEAR(AttentionTransfer(f, target, parameters, pooling)->item<double>(), expected, 1e-12 * expected);
      EXPECT_NEAR(AttentionTransfer(f.to(at::kFloat), target.to(at::kFloat), parameters, pooling)->item<double>(),
                  expected, 1e-5 * expected);
    }
  }
}

TEST(ActivationMapTest, TakesSlicesAsTheyLie) {
  const at::Tensor whole = Student().to(at::kFloat);
  for (const at::Tensor& slice : {whole.slice(3, 1, 6), whole.slice(2, 1, 8, 2), whole.slice(3, 0, 8, 2),
                                  whole.transpose(2, 3), whole.slice(1, 1, 4)}) {
    const at::Tensor map = *ActivationMap(slice, {}), same = *ActivationMap(slice.contiguous(), {});
    EXPECT_LT((map - same).abs().max().item<double>(), 1e-6);
  }
}

TEST(ActivationMapTest, OtherShapesAreRefused) {
  EXPECT_EQ(ActivationMap(Student()[0], {}).status().code(), absl::StatusCode::kInvalidArgument);
  const absl::Status status = AttentionTransfer(Student(), at::ones({4, 9, 8}, at::kDouble), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("target [4,9,8]"));
}

TEST(ActivationMapTest, AnEmptyBatchIsPermitted) {
  const at::Tensor f = at::zeros({0, 3, 4, 4});
  EXPECT_EQ(ActivationMap(f, {})->numel(), 0);
  for (const Pooling pooling : {Pooling::kFeatures, Pooling::kMap}) {
    EXPECT_EQ(AttentionTransfer(f, at::zeros({0, 4, 4}), {}, pooling)->item<float>(), 0);
    EXPECT_EQ(AttentionTransfer(f, at::zeros({0, 2, 3}), {}, pooling)->item<float>(), 0);
  }
}

}  // namespace
}  // namespace retort::ops::torch
