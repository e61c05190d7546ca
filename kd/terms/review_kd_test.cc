#include "retort/kd/terms/review_kd.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/avg_pool2d.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"
#include "retort/kd/terms/hierarchical_loss.h"

namespace retort::kd {
namespace {

constexpr char kPairs[] = "pair { student: 's1' teacher: 't1' } pair { student: 's2' teacher: 't2' }";

std::unique_ptr<Term> Make(const std::string& options) {
  return MakeReviewKd(Parse<config::ReviewKd>(kPairs + options));
}

// Two stages and the embeddings; the teacher's maps are of other sizes and channels.
Step StepOf(const at::Tensor& student) {
  Step step;
  step.student.taps = {{"s1", student}, {"s2", at::avg_pool2d(student, 2)}};
  step.student.embedding = student.mean({2, 3});
  const int64_t images = student.size(0);
  const auto teacher = [&](int64_t side, int64_t channels) {
    return TeacherMap(side, side, channels).slice(0, 0, images).to(student.scalar_type());
  };
  step.teacher.taps = {{"t1", teacher(8, 2)}, {"t2", teacher(2, 4)}};
  step.teacher.embedding = TeacherEmbedding(5).slice(0, 0, images).to(student.scalar_type());
  return step;
}

TermOf Of(const std::string& options) {
  return [=](const at::Tensor& student) {
    at::manual_seed(11);
    const std::unique_ptr<Term> term = Make(options);
    EXPECT_EQ(term->Prepare(StepOf(student), 10), absl::OkStatus());
    return term->Compute(StepOf(student)).value();
  };
}

TEST(ReviewKdTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(Of(""), StudentMap().slice(0, 0, 3).slice(1, 0, 1));
  ExpectGradient(Of("embedding: false most_channels: 2"), StudentMap().slice(0, 0, 2).slice(1, 0, 2));
}

TEST(ReviewKdTest, HasTheLayersOfThePaper) {
  const std::unique_ptr<Term> term = Make("");
  ASSERT_EQ(term->Prepare(StepOf(StudentMap()), 10), absl::OkStatus());
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, tensor] : term->Parameters()) shapes[name] = tensor.sizes().vec();
  const std::vector<int64_t> in = {6, 6, 1, 1}, attention = {2, 12, 1, 1};
  EXPECT_EQ(shapes["0.in.weight"], in);
  EXPECT_EQ(shapes["1.attention.weight"], attention);
  EXPECT_EQ(shapes["1.out.weight"], (std::vector<int64_t>{4, 6, 3, 3}));
  EXPECT_EQ(shapes["2.out.weight"], (std::vector<int64_t>{5, 6, 3, 3}));
  EXPECT_EQ(shapes.count("2.attention.weight"), 0u);
  term->Compute(StepOf(StudentMap())).value().backward();
  for (const auto& [name, tensor] : term->Parameters()) EXPECT_TRUE(tensor.grad().defined()) << name;
}

// With scales and shifts of the last norms 0 every y is 0: what is left is the loss of the teacher's maps against 0.
TEST(ReviewKdTest, SumsTheLossOfEachLevel) {
  const std::unique_ptr<Term> term = Make("");
  const Step step = StepOf(StudentMap());
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  for (const auto& [name, tensor] : term->Parameters()) {
    if (name.find("out_norm") != std::string::npos) tensor.detach().zero_();
  }
  const auto against_zero = [](const at::Tensor& t) {
    return HierarchicalContextLoss(at::zeros_like(t), t).item<double>();
  };
  const double embedding = step.teacher.embedding.square().mean().item<double>();
  EXPECT_NEAR(term->Compute(step)->item<double>(),
              against_zero(step.teacher.taps.at("t1")) + against_zero(step.teacher.taps.at("t2")) + embedding, 1e-12);
}

TEST(ReviewKdTest, OfF32IsNearThatOfF64) {
  const double value = Of("")(StudentMap()).item<double>();
  EXPECT_NEAR(Of("")(StudentMap().to(at::kFloat)).item<double>(), value, 1e-5 * value);
}

TEST(ReviewKdErrorTest, NamesAMissingTapAndABatchOfOne) {
  Step step = StepOf(StudentMap());
  const std::unique_ptr<Term> term = Make("");
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  ExpectFault(term->Compute(StepOf(StudentMap().slice(0, 0, 1))).status(), absl::StatusCode::kInvalidArgument,
              "\"embedding\" [1,6,1,1]");
  step.teacher.taps.erase("t2");
  ExpectFault(term->Compute(step).status(), absl::StatusCode::kInvalidArgument, "\"t2\" nothing");
}

}  // namespace
}  // namespace retort::kd
