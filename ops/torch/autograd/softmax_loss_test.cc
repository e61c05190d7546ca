#include "retort/ops/torch/autograd/softmax_loss.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "torch/csrc/autograd/autograd.h"

#include "retort/testing/gradient_check.h"
#include "retort/testing/tensor_memory.h"

namespace retort::ops::torch {
namespace {

using ::testing::HasSubstr;

// The logits, [4,5], that the published values are for.
at::Tensor Student() {
  const at::Tensor i = at::arange(4, at::kDouble).unsqueeze(1), c = at::arange(5, at::kDouble).unsqueeze(0);
  return (i * 0.7 + c * 1.3 + 0.2).sin() * 3;
}

at::Tensor Teacher() {
  const at::Tensor i = at::arange(4, at::kDouble).unsqueeze(1), c = at::arange(5, at::kDouble).unsqueeze(0);
  return (i * 0.5 - c * 0.9 + 0.1).cos() * 4;
}

at::Tensor Labels() { return at::tensor({0, 3, 1, 4}, at::kLong); }

struct Case {
  std::string name;
  std::function<at::Tensor(const at::Tensor&)> loss;
  double value;
  double gradient_norm;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

at::Tensor LikeTeacher(const at::Tensor& z) { return Teacher().to(z.options()); }

at::Tensor LabelsLike(const at::Tensor& z) { return Labels().to(z.device()); }

std::vector<Case> Cases() {
  const auto top_two = [](const at::Tensor& z) {
    const auto [values, indices] = LikeTeacher(z).topk(2, 1);
    const DistillParameters parameters = {0, 1, 0, 1};
    return CrossEntropyTopK(z, LabelsLike(z), values, indices.to(at::kInt), LikeTeacher(z).logsumexp(1), parameters)
        ->total;
  };
  return {
      {"CrossEntropy", [](const at::Tensor& z) { return *CrossEntropy(z, LabelsLike(z), 0); }, 2.94439764397,
       0.541482431941},
      {"SoftCrossEntropy", [](const at::Tensor& z) { return *SoftCrossEntropy(z, at::softmax(LikeTeacher(z), 1)); },
       2.95898304804, 0.40844585696},
      {"DistillKl", [](const at::Tensor& z) { return *DistillKl(z, LikeTeacher(z), 4); }, 3.99083614555,
       0.613367842733},
      {"CrossEntropyKl",
       [](const at::Tensor& z) {
         return CrossEntropyKl(z, LabelsLike(z), LikeTeacher(z), {0, 2, 0, 1})->total;
       },
       3.1845337876, 0.531258237024},
      {"Dkd", [](const at::Tensor& z) { return Dkd(z, LikeTeacher(z), LabelsLike(z), 4, 1, 8)->total; }, 27.4141671322,
       4.8307917552},
      // Published with the teacher's entropy; the gradient is without.
      {"CrossEntropyTopK", top_two, 0, 0.409173741485},
  };
}

// Logits that are a part of others are read where they lie, unless classes do not lie side by side; the gradient is the
// only tensor as large that is made.
TEST(CrossEntropyKlTest, TakesLogitsAsTheyLie) {
  const at::Tensor whole = (at::arange(2 * 80 * 120, at::kFloat) * 0.37f).sin().reshape({2, 80, 120}) * 3;
  const auto some_rows = [](const at::Tensor& x) { return x.slice(0, 3, 70, 2); };
  const auto some_classes = [](const at::Tensor& x) { return x.slice(1, 5, 115); };
  const auto every_second_class = [](const at::Tensor& x) { return x.slice(1, 0, 120, 2); };
  const auto transposed = [](const at::Tensor& x) { return x.t(); };
  const struct {
    const char* name;
    std::function<at::Tensor(const at::Tensor&)> part;
    int copies;
  } cases[] = {{"SomeRows", some_rows, 0},
               {"SomeClasses", some_classes, 0},
               {"EverySecondClass", every_second_class, 2},
               {"Transposed", transposed, 2}};
  for (const auto& [name, part, copies] : cases) {
    const at::Tensor logits = part(whole[0]), teacher = part(whole[1]);
    const at::Tensor labels = at::arange(logits.size(0), at::kLong).remainder(50);
    const at::Tensor expected = CrossEntropyKl(logits.contiguous(), labels, teacher.contiguous(), {})->total;
    at::Tensor loss;
    EXPECT_EQ(
        testing::TensorAllocations(logits.nbytes(), [&] { loss = CrossEntropyKl(logits, labels, teacher, {})->total; }),
        1 + copies)
        << name;
    EXPECT_TRUE(at::equal(loss, expected)) << name;
  }
}

class SoftmaxLossTest : public ::testing::TestWithParam<Case> {};

TEST_P(SoftmaxLossTest, EqualsThePublishedValuesInBothPrecisions) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const at::Tensor z = Student().to(type).set_requires_grad(true);
    const at::Tensor loss = GetParam().loss(z);
    const double tolerance = type == at::kDouble ? 1e-10 : 2e-6;
    if (GetParam().value != 0) {
      EXPECT_NEAR(loss.item<double>(), GetParam().value, tolerance * GetParam().value);
    }
    loss.backward();
    EXPECT_NEAR(z.grad().norm().item<double>(), GetParam().gradient_norm, tolerance * GetParam().gradient_norm);
  }
}

TEST_P(SoftmaxLossTest, OnCUDAEqualsThePublishedValues) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const at::Tensor z = Student().to(at::kCUDA, type).set_requires_grad(true);
    const at::Tensor loss = GetParam().loss(z);
    EXPECT_TRUE(loss.is_cuda());
    if (GetParam().value != 0) {
      EXPECT_NEAR(loss.item<double>(), GetParam().value, 1e-5 * GetParam().value);
    }
    loss.backward();
    EXPECT_NEAR(z.grad().norm().item<double>(), GetParam().gradient_norm, 1e-5 * GetParam().gradient_norm);
  }
}

TEST_P(SoftmaxLossTest, PlainFormulaHasTheGradientOfCentralDifferences) {
  EXPECT_LT(testing::GradientError(GetParam().loss, Student()), 1e-6);
}

TEST_P(SoftmaxLossTest, ScalesItsGradientAndTakesAnyStrides) {
  const at::Tensor z = Student().to(at::kFloat), wide = at::zeros({5, 8}).t().slice(0, 1, 8, 2);
  wide.copy_(z);
  const at::Tensor a = z.clone().set_requires_grad(true), b = wide.detach().set_requires_grad(true);
  ASSERT_NE(b.stride(1), 1);
  GetParam().loss(a).backward();
  (GetParam().loss(b) * 3).backward();
  EXPECT_TRUE(at::equal(a.grad() * 3, b.grad()));
}

// The gradient's gradient: of a fused loss as of the plain formula.
TEST_P(SoftmaxLossTest, IsTwiceDifferentiable) {
  std::vector<at::Tensor> second;
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const at::Tensor z = Student().to(type).set_requires_grad(true);
    const at::Tensor gradient =
        ::torch::autograd::grad({GetParam().loss(z)}, {z}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
    gradient.square().sum().backward();
    second.push_back(z.grad().to(at::kDouble));
  }
  EXPECT_GT(second[0].abs().max().item<double>(), 1e-3);
  EXPECT_LT((second[0] - second[1]).abs().max().item<double>(), 1e-5 * second[0].abs().max().item<double>());
}

TEST_P(SoftmaxLossTest, OfNoGradientIsAPlainNumber) {
  EXPECT_FALSE(GetParam().loss(Student().to(at::kFloat)).requires_grad());
}

TEST_P(SoftmaxLossTest, KeepsItsGradientFromAFirstPassForASecond) {
  const at::Tensor z = Student().to(at::kFloat).requires_grad_();
  const at::Tensor loss = GetParam().loss(z);
  const auto gradient = [&] { return ::torch::autograd::grad({loss}, {z}, {}, /*retain_graph=*/true)[0]; };
  const at::Tensor first = gradient(), copy = first.clone();
  first.mul_(-3);
  EXPECT_TRUE(at::equal(gradient(), copy));
}

TEST_P(SoftmaxLossTest, RefusesASecondBackwardPass) {
  const at::Tensor z = Student().to(at::kFloat).set_requires_grad(true);
  const at::Tensor loss = GetParam().loss(z);
  loss.backward();
  EXPECT_THROW(loss.backward(), c10::Error);
}

INSTANTIATE_TEST_SUITE_P(Losses, SoftmaxLossTest, ::testing::ValuesIn(Cases()),
                         [](const auto& instance) { return instance.param.name; });

// Whether fused or plain.
class SoftmaxLossErrorTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  const at::Tensor z_ = Student().to(GetParam()), t_ = Teacher().to(GetParam());
};

TEST_P(SoftmaxLossErrorTest, AClassBeyondTheLastIsNamed) {
  EXPECT_EQ(CrossEntropy(z_, at::tensor({0, 3, 5, 4}, at::kLong), 0).status(),
            absl::OutOfRangeError("cross_entropy: labels[2] = 5, but there are 5 classes; permitted are 0..4"));
  EXPECT_EQ(CrossEntropyKl(z_, at::tensor({0, -100, 1, 4}, at::kLong), t_, {}).status(),
            absl::OutOfRangeError("cross_entropy_kl: labels[1] = -100, but there are 5 classes; permitted are 0..4"));
  EXPECT_EQ(Dkd(z_, t_, at::tensor({0, 3, 1, 9}, at::kLong), 4, 1, 1).status(),
            absl::OutOfRangeError("dkd: labels[3] = 9, but there are 5 classes; permitted are 0..4"));
  EXPECT_EQ(
      CrossEntropyTopK(z_, Labels(), t_.slice(1, 0, 2), at::tensor({0, 1, 0, 1, 0, 7, 0, 1}, at::kInt).view({4, 2}),
                       t_.logsumexp(1), {})
          .status(),
      absl::OutOfRangeError("cross_entropy_top_k: indices[2,1] = 7, but there are 5 classes; permitted are 0..4"));
}

TEST_P(SoftmaxLossErrorTest, AParameterBeyondItsRangeIsNamed) {
  const double kNaN = std::nan(""), kInfinity = std::numeric_limits<double>::infinity();
  const auto message = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  const std::string zero = "temperature is 0; permitted are finite numbers above 0";
  EXPECT_EQ(message(CrossEntropy(z_, Labels(), 1.5).status()),
            "cross_entropy: label_smoothing is 1.5; permitted is 0..1");
  EXPECT_EQ(message(CrossEntropy(z_, Labels(), kNaN).status()),
            "cross_entropy: label_smoothing is nan; permitted is 0..1");
  EXPECT_EQ(message(DistillKl(z_, t_, 0).status()), "distill_kl: " + zero);
  EXPECT_EQ(message(DistillKl(z_, t_, kInfinity).status()),
            "distill_kl: temperature is inf; permitted are finite numbers above 0");
  EXPECT_EQ(message(CrossEntropyKl(z_, Labels(), t_, {-0.5f, 4, 1, 1}).status()),
            "cross_entropy_kl: label_smoothing is -0.5; permitted is 0..1");
  EXPECT_EQ(message(CrossEntropyKl(z_, Labels(), t_, {0, 4, 1, static_cast<float>(kNaN)}).status()),
            "cross_entropy_kl: soft_weight is nan; permitted are finite numbers");
  EXPECT_EQ(
      message(CrossEntropyTopK(z_, Labels(), t_, at::zeros({4, 5}, at::kInt), t_.logsumexp(1), {0, 0, 1, 1}).status()),
      "cross_entropy_top_k: " + zero);
  EXPECT_EQ(message(Dkd(z_, t_, Labels(), 0, 1, 1).status()), "dkd: " + zero);
  EXPECT_EQ(message(Dkd(z_, t_, Labels(), 4, 1, kInfinity).status()), "dkd: beta is inf; permitted are finite numbers");
  EXPECT_EQ(message(Dkd(z_.slice(1, 0, 1), t_.slice(1, 0, 1), at::zeros({4}, at::kLong), 4, 1, 1).status()),
            "dkd: logits have 1 classes; give at least 2");
}

TEST_P(SoftmaxLossErrorTest, TopKOfOtherShapesIsRefused) {
  const at::Tensor values = t_.slice(1, 0, 2), indices = at::zeros({4, 2}, at::kInt), sum = t_.logsumexp(1);
  EXPECT_FALSE(CrossEntropyTopK(z_, Labels(), t_[0], indices, sum, {}).ok());
  EXPECT_FALSE(CrossEntropyTopK(z_, Labels(), values, indices.slice(1, 0, 1), sum, {}).ok());
  EXPECT_FALSE(CrossEntropyTopK(z_, Labels(), values, indices.to(at::kLong), sum, {}).ok());
  EXPECT_FALSE(CrossEntropyTopK(z_, Labels(), values, indices, sum.unsqueeze(1), {}).ok());
}

TEST_P(SoftmaxLossErrorTest, ALabelThatIsImpossibleForTheStudentHasAGradient) {
  const at::Tensor z = z_.clone(), t = t_.clone();
  z[1][3] = -std::numeric_limits<double>::infinity();
  const at::Tensor leaf = z.set_requires_grad(true);
  const TwoPartLoss loss = *Dkd(leaf, t, Labels(), 4, 1, 8);
  EXPECT_EQ(loss.parts[0].item<double>(), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isfinite(loss.parts[1].item<double>()));
  loss.total.backward();
  EXPECT_TRUE(leaf.grad().isfinite().all().item<bool>()) << leaf.grad();
}

// As a logit of -1000 says, too.
TEST_P(SoftmaxLossErrorTest, AClassThatIsImpossibleForBothSidesCountsAsNothing) {
  const auto run = [&](double never, at::Tensor* gradient) {
    const at::Tensor z = z_.clone(), t = t_.clone();
    z[1][2] = t[1][2] = never;
    const at::Tensor leaf = z.set_requires_grad(true);
    const at::Tensor loss =
        *DistillKl(leaf, t, 1) + *SoftCrossEntropy(leaf, at::softmax(t, 1)) + Dkd(leaf, t, Labels(), 1, 1, 8)->total;
    loss.backward();
    *gradient = leaf.grad();
    return loss.item<double>();
  };
  at::Tensor gradient, expected;
  const double loss = run(-std::numeric_limits<double>::infinity(), &gradient);
  EXPECT_NEAR(loss, run(-1000, &expected), 1e-5);
  EXPECT_LT((gradient - expected).abs().max().item<double>(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Types, SoftmaxLossErrorTest, ::testing::Values(at::kFloat, at::kDouble),
                         [](const auto& instance) { return std::string(c10::toString(instance.param)); });

TEST(SoftmaxLossShapesTest, OtherShapesAreRefused) {
  const at::Tensor z = Student().to(at::kFloat);
  EXPECT_EQ(CrossEntropy(z[0], Labels(), 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CrossEntropy(z, Labels().slice(0, 1), 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DistillKl(z, z.slice(1, 1), 4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CrossEntropy(at::Tensor(), Labels(), 0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SoftmaxLossShapesTest, OtherShapesAndTypesThanTheLogitsAreRefused) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor z = Student().to(type), t = Teacher().to(type);
    EXPECT_FALSE(DistillKl(z, t.slice(1, 0, 1), 4).ok());
    EXPECT_FALSE(DistillKl(z, t.to(at::kHalf), 4).ok());
    EXPECT_FALSE(DistillKl(z, at::Tensor(), 4).ok());
    EXPECT_FALSE(SoftCrossEntropy(z, t[0]).ok());
    EXPECT_FALSE(CrossEntropy(z, Labels().to(type), 0).ok());
  }
}

TEST(SoftmaxLossStrideTest, OfASingleClassOrRowMayBeAny) {
  const at::Tensor z = Student().to(at::kFloat), t = Teacher().to(at::kFloat);
  // [4,2] whose classes lie 4 apart, and one row of them.
  const at::Tensor columns = t.slice(1, 0, 2).t().contiguous().t(), logits = z.slice(1, 0, 2);
  const at::Tensor expected = *DistillKl(logits.contiguous(), columns.contiguous(), 4);
  EXPECT_TRUE(at::equal(*DistillKl(logits, columns, 4), expected));
  EXPECT_TRUE(DistillKl(logits.slice(0, 0, 1), columns.slice(0, 0, 1), 4).ok());
  const DistillParameters parameters = {0, 1, 0, 1};
  EXPECT_TRUE(CrossEntropyTopK(z, Labels(), t.slice(1, 0, 1).contiguous().view({1, 4}).t(), at::zeros({4, 1}, at::kInt),
                               t.logsumexp(1), parameters)
                  .ok());
}

TEST(SoftmaxLossShapesTest, AnEmptyBatchHasTheLossZero) {
  const at::Tensor z = at::zeros({0, 5}).set_requires_grad(true);
  const at::Tensor loss = *CrossEntropy(z, at::zeros({0}, at::kLong), 0);
  EXPECT_EQ(loss.item<float>(), 0);
  loss.backward();
}

}  // namespace
}  // namespace retort::ops::torch
