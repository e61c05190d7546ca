#include "retort/kd/terms/fixtures.h"

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/tensor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/testing/gradient_check.h"

namespace retort::kd {
namespace {

// 0, factor, 2 factor, ... along dimension `dim` of `rank`, to be broadcast.
at::Tensor Ramp(int64_t size, double factor, int64_t dim, int64_t rank) {
  std::vector<int64_t> shape(rank, 1);
  shape[dim] = size;
  return (at::arange(size, at::kDouble) * factor).reshape(shape);
}

}  // namespace

at::Tensor StudentLogits() { return (Ramp(4, 0.7, 0, 2) + Ramp(5, 1.3, 1, 2) + 0.2).sin() * 3; }

at::Tensor TeacherLogits() { return (Ramp(4, 0.5, 0, 2) + Ramp(5, -0.9, 1, 2) + 0.1).cos() * 4; }

at::Tensor Labels() { return at::tensor({0, 3, 1, 4}, at::kLong); }

at::Tensor StudentMap() {
  return (Ramp(4, 0.3, 0, 4) + Ramp(6, 0.5, 1, 4) + Ramp(8, 1.1, 2, 4) + Ramp(8, -0.7, 3, 4) + 0.05).sin();
}

at::Tensor TeacherMap(int64_t height, int64_t width, int64_t channels) {
  return (Ramp(4, 0.2, 0, 4) + Ramp(channels, -0.4, 1, 4) + Ramp(height, 0.9, 2, 4) + Ramp(width, 1.3, 3, 4)).cos();
}

at::Tensor StudentEmbedding(int64_t width) { return (Ramp(4, 0.9, 0, 2) + Ramp(width, 0.6, 1, 2) + 0.1).sin(); }

at::Tensor TeacherEmbedding(int64_t width) { return (Ramp(4, 0.7, 0, 2) + Ramp(width, -0.5, 1, 2) + 0.2).cos(); }

Step SingleImage() {
  Step step;
  step.student.logits = at::tensor({2.0, -1.0, 0.5, 0.0}, at::kDouble).unsqueeze(0);
  step.teacher.logits = at::tensor({4.0, 1.0, -2.0, 0.0}, at::kDouble).unsqueeze(0);
  step.labels = at::tensor({2}, at::kLong);
  return step;
}

double GradientNorm(const TermOf& f, const at::Tensor& x) {
  const at::Tensor leaf = x.detach().clone().set_requires_grad(true);
  f(leaf).backward();
  return leaf.grad().norm().item<double>();
}

TermOf OfLogits(const MakeTerm& make, const at::Tensor& teacher) {
  return [=](const at::Tensor& student) {
    Step step;
    step.student.logits = student;
    if (teacher.defined()) step.teacher.logits = teacher.to(student.scalar_type());
    step.labels = Labels().slice(0, 0, student.size(0));
    return make()->Compute(step).value();
  };
}

TermOf OfEmbedding(const MakeTerm& make, const at::Tensor& teacher) {
  return [=](const at::Tensor& student) {
    Step step;
    step.student.embedding = student;
    step.teacher.embedding = teacher.to(student.scalar_type());
    const std::unique_ptr<Term> term = make();
    at::manual_seed(11);  // learnable parts are the same at each call
    EXPECT_EQ(term->Prepare(step, 10), absl::OkStatus());
    return term->Compute(step).value();
  };
}

TermOf OfTap(const MakeTerm& make, const at::Tensor& teacher) {
  return [=](const at::Tensor& student) {
    const Step step = TapStep(student, teacher.to(student.scalar_type()));
    const std::unique_ptr<Term> term = make();
    at::manual_seed(11);  // learnable parts are the same at each call
    EXPECT_EQ(term->Prepare(step, 10), absl::OkStatus());
    return term->Compute(step).value();
  };
}

Step TapStep(const at::Tensor& student, const at::Tensor& teacher) {
  Step step;
  step.student.taps["s"] = student;
  step.teacher.taps["t"] = teacher;
  return step;
}

void ExpectPublished(const TermOf& f, const at::Tensor& x, double value, double gradient_norm) {
  for (const auto& [type, tolerance] : kPrecisions) {
    EXPECT_NEAR(f(x.to(type)).item<double>(), value, tolerance * value) << type;
    EXPECT_NEAR(GradientNorm(f, x.to(type)), gradient_norm, tolerance * gradient_norm) << type;
  }
}

void ExpectGradient(const TermOf& f, const at::Tensor& x) { EXPECT_LT(testing::GradientError(f, x), 1e-5); }

void ExpectFault(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_NE(status.message().find(text), absl::string_view::npos) << status;
}

void ParseInto(const std::string& text, google::protobuf::Message* message) {
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, message)) << text;
}

}  // namespace retort::kd
