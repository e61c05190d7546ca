#include "retort/kd/terms/crd.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/flip.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/contrast_memory.h"
#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

// 20 images; banks of width 3: student 0.5 sin(0.9 r + 1.7 q), teacher 0.5 cos(0.4 r - 1.1 q).
at::Tensor Grid(int64_t rows, double a, int64_t columns, double b) {
  return (at::arange(rows, at::kDouble) * a).unsqueeze(1) + (at::arange(columns, at::kDouble) * b).unsqueeze(0);
}
at::Tensor Direction(const at::Tensor& x) { return x / x.norm(2, {1}, /*keepdim=*/true); }
at::Tensor Own() { return at::tensor({2, 5, 11, 17}, at::kLong); }
at::Tensor Rows() {
  return at::tensor({2, 0, 7, 13, 19, 5, 1, 3, 9, 16, 11, 4, 6, 8, 18, 17, 10, 12, 14, 15}, at::kLong).view({4, 5});
}

struct Bank {
  explicit Bank(at::ScalarType type)
      : parts(at::TensorOptions().dtype(type)), memory(20, 3, /*temperature=*/0.07, /*momentum=*/0.5, &parts) {
    Find("bank.student").copy_(Grid(20, 0.9, 3, 1.7).sin() * 0.5);
    Find("bank.teacher").copy_(Grid(20, 0.4, 3, -1.1).cos() * 0.5);
  }
  at::Tensor Find(const std::string& name) const {
    for (const auto& [key, tensor] : parts.buffers()) {
      if (key == name) return tensor;
    }
    return {};
  }

  Parts parts;
  ContrastMemory memory;
};

TEST(ContrastMemoryTest, EqualsThePublishedValues) {
  for (const auto& [type, tolerance] : kPrecisions) {
    Bank bank(type);
    const at::Tensor student = Direction((Grid(4, 0.6, 3, 0.8) + 0.3).sin()).to(type).set_requires_grad(true);
    const at::Tensor teacher = Direction((Grid(4, 0.7, 3, -0.5) + 0.2).cos()).to(type).set_requires_grad(true);
    const at::Tensor loss = bank.memory.Loss(student, teacher, Rows());
    EXPECT_NEAR(loss.item<double>(), 13.6914765657, tolerance * 13.7);
    EXPECT_NEAR(bank.Find("normalizer.student").item<double>(), 22189.593926, tolerance * 23000 + 1e-6);
    EXPECT_NEAR(bank.Find("normalizer.teacher").item<double>(), 7810.285579, tolerance * 7900 + 1e-6);
    loss.backward();
    EXPECT_NEAR(std::hypot(student.grad().norm().item<double>(), teacher.grad().norm().item<double>()), 6.55437585731,
                tolerance * 6.6);
    bank.memory.Update(student, teacher, Own());
    const at::Tensor entry = bank.Find("bank.student")[2];
    EXPECT_NEAR(entry[0].item<double>(), 0.783857194029, tolerance);
    EXPECT_NEAR(entry[1].item<double>(), 0.545516212280, tolerance);
    EXPECT_NEAR(entry[2].item<double>(), 0.296614162690, tolerance);
    EXPECT_NEAR(bank.Find("bank.teacher")[17].norm().item<double>(), 1, 1e-6);
    EXPECT_NEAR(bank.Find("bank.student")[3][1].item<double>(), 0.5 * std::sin(0.9 * 3 + 1.7), 1e-6);
  }
}

TEST(ContrastMemoryTest, KeepsItsNormalizers) {
  Bank bank(at::kDouble);
  const at::Tensor student = Direction((Grid(4, 0.6, 3, 0.8) + 0.3).sin());
  bank.memory.Loss(student, student, Rows());
  const double first = bank.Find("normalizer.student").item<double>();
  bank.memory.Loss(student.flip(0), student, Rows());
  EXPECT_EQ(bank.Find("normalizer.student").item<double>(), first);
}

Step StepOf() {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(8);
  step.labels = Labels();
  step.index = Own();
  return step;
}

std::unique_ptr<Term> Make(const std::string& text) { return MakeCrd(Parse<config::Crd>(text)); }

TEST(CrdTest, LearnsBothLayersAndKeepsItsBanks) {
  at::manual_seed(5);
  const std::unique_ptr<Term> term = Make("width: 3 negatives: 4");
  ASSERT_EQ(term->Prepare(StepOf(), 20), absl::OkStatus());
  std::map<std::string, at::Tensor> buffers;
  for (const auto& [name, tensor] : term->Buffers()) buffers[name] = tensor;
  ASSERT_EQ(buffers.size(), 5u);
  EXPECT_LE(buffers["bank.student"].abs().max().item<double>(), 1);
  const at::Tensor before = buffers["bank.student"].clone();
  const at::Tensor loss = term->Compute(StepOf()).value();
  EXPECT_GT(loss.item<double>(), 0);
  loss.backward();
  for (const auto& [name, tensor] : term->Parameters()) EXPECT_GT(tensor.grad().norm().item<double>(), 0) << name;
  // The rows of the batch are new, and no others.
  const at::Tensor changed = (buffers["bank.student"] - before).abs().sum(1).gt(0).nonzero().flatten();
  EXPECT_TRUE(changed.equal(Own())) << changed;
  EXPECT_EQ(buffers["classes"][5].item<double>(), 3);
  EXPECT_EQ(buffers["classes"][0].item<double>(), -1);
}

TEST(CrdTest, IsAFunctionOfTheGenerator) {
  const auto value = [](uint64_t seed) {
    at::manual_seed(1);
    const std::unique_ptr<Term> term = Make("width: 3 negatives: 4");
    EXPECT_EQ(term->Prepare(StepOf(), 20), absl::OkStatus());
    at::manual_seed(seed);
    return term->Compute(StepOf())->item<double>();
  };
  EXPECT_EQ(value(7), value(7));
  EXPECT_NE(value(7), value(8));
}

TEST(CrdTest, TakesNegativesThatTheStepHas) {
  const auto value = [](const at::Tensor& negatives) {
    at::manual_seed(1);
    const std::unique_ptr<Term> term = Make("width: 3 negatives: 4");
    Step step = StepOf();
    EXPECT_EQ(term->Prepare(step, 20), absl::OkStatus());
    step.negatives = negatives;
    return term->Compute(step);
  };
  const at::Tensor negatives = Rows().slice(1, 1);
  EXPECT_NEAR(value(negatives)->item<double>(), value(negatives.flip(1))->item<double>(), 1e-10);
  EXPECT_NE(value(negatives)->item<double>(), value(negatives.flip(0))->item<double>());
  ExpectFault(value(negatives.slice(1, 1)).status(), absl::StatusCode::kInvalidArgument, "negatives [4,3]");
  ExpectFault(value(negatives + 1).status(), absl::StatusCode::kOutOfRange, "20 training images");
}

TEST(CrdErrorTest, RefusesOneClassAlone) {
  Step step = StepOf();
  step.labels = at::tensor({1, 1, 1, 1}, at::kLong);
  step.index = at::tensor({0, 1, 2, 3}, at::kLong);
  const std::unique_ptr<Term> term = Make("width: 3 negatives: 4");
  ASSERT_EQ(term->Prepare(step, 4), absl::OkStatus());
  ExpectFault(term->Compute(step).status(), absl::StatusCode::kFailedPrecondition, "another class");
}

TEST(CrdErrorTest, RefusesAnIndexBeyondTheImagesAndOtherShapes) {
  const std::unique_ptr<Term> term = Make("width: 3 negatives: 4");
  ExpectFault(term->Compute(StepOf()).status(), absl::StatusCode::kOutOfRange, "0 training images");
  ASSERT_EQ(term->Prepare(StepOf(), 18), absl::OkStatus());
  Step step = StepOf();
  step.index = at::tensor({2, 5, 11, 18}, at::kLong);
  ExpectFault(term->Compute(step).status(), absl::StatusCode::kOutOfRange, "18 training images");
  step.index = at::tensor({2}, at::kLong);
  ExpectFault(term->Compute(step).status(), absl::StatusCode::kInvalidArgument, "index [1]");
  step.teacher.embedding.reset();
  ExpectFault(term->Compute(step).status(), absl::StatusCode::kInvalidArgument, "nothing");
}

}  // namespace
}  // namespace retort::kd
