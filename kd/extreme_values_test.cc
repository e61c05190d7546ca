// Every term at numbers that a training meets when it goes wrong: 1e4, -inf and NaN in one row of what it reads.
//
// What is finite must stay finite: a term's value and its gradient. Where it cannot, the value itself must not be
// finite, so that a training stops there and says so.
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ATen/Context.h"
#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/isfinite.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/kd/objective.h"
#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

using Facts = config::TermFacts;
// What a term reads, each of four images.
using Inputs = std::map<Facts::Tensor, at::Tensor>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Of four rows; the second and the third are of one class.
constexpr int64_t kRow = 1;

// Every term, in each of its forms.
std::vector<std::string> Terms() {
  const std::map<std::string, std::vector<std::string>> forms = {
      {"attention",
       {"", "form: MEAN_SQUARE", "form: NORMALIZED_DISTANCE", "pooling: MAP", "pooling: MAP form: MEAN_SQUARE",
        "pooling: MAP form: NORMALIZED_DISTANCE"}},
      {"correlation_congruence", {"neighbours { width: 3 }", "neighbours { width: 0 }", "kernel {}"}},
      {"crd", {"width: 3 negatives: 5"}},
      {"cross_entropy", {"", "label_smoothing: 0.1"}},
      {"distill", {"", "form: SOFT_CROSS_ENTROPY", "form: ELEMENT_MEAN_KL", "standardize: true"}},
      {"distillation_token", {"hard {}", "soft {}"}},
      {"dkd", {"", "standardize: true"}},
      {"factor_transfer", {"", "factor: FLATTENED"}},
      {"hint", {"", "projection { kind: CONV_1X1 batch_norm: true relu: true }"}},
      {"input_gradient", {"", "form: DISTANCE"}},
      {"multi_level", {"temperature: 1 temperature: 4"}},
      {"teacher_free", {"", "label_probability: 1", "as_published: true"}},
      {"top_k_cross_entropy", {"k: 2", "k: 2 tail: RENORMALIZED", "k: 5"}},
  };
  const google::protobuf::OneofDescriptor& all = *config::Term::descriptor()->FindOneofByName("term");
  std::vector<std::string> terms;
  for (int i = 0; i < all.field_count(); ++i) {
    const auto found = forms.find(all.field(i)->name());
    const google::protobuf::FieldDescriptor* const pair = all.field(i)->message_type()->FindFieldByName("pair");
    const std::string taps = "pair { student: 's' teacher: 't' } ";
    for (const std::string& form : found == forms.end() ? std::vector<std::string>{""} : found->second) {
      terms.push_back(absl::StrCat(all.field(i)->name(), " { ", pair == nullptr ? "" : taps,
                                   pair != nullptr && pair->is_repeated() ? taps : "", form, " }"));
    }
  }
  return terms;
}

Inputs Ordinary(at::ScalarType type) {
  Inputs inputs = {{Facts::STUDENT_LOGITS, StudentLogits()},
                   {Facts::TEACHER_LOGITS, TeacherLogits()},
                   {Facts::DISTILLATION_LOGITS, -StudentLogits()},
                   {Facts::STUDENT_TAPS, StudentMap()},
                   {Facts::TEACHER_TAPS, TeacherMap(8, 8, 6)},
                   {Facts::STUDENT_EMBEDDING, StudentEmbedding(6)},
                   {Facts::TEACHER_EMBEDDING, TeacherEmbedding(6)},
                   {Facts::IMAGES, TeacherMap(8, 8, 3)},
                   {Facts::IMAGE_GRADIENTS, StudentMap().narrow(1, 0, 3)},
                   {Facts::TAP_GRADIENTS, TeacherMap(8, 8, 6).abs().mean(1)}};
  for (auto& [_, tensor] : inputs) tensor = tensor.to(type).contiguous();
  return inputs;
}

constexpr Facts::Tensor kLearnable[] = {Facts::STUDENT_LOGITS, Facts::DISTILLATION_LOGITS, Facts::STUDENT_TAPS,
                                        Facts::STUDENT_EMBEDDING, Facts::IMAGES};

Inputs Learnable(Inputs inputs) {
  for (const Facts::Tensor tensor : kLearnable) inputs[tensor].set_requires_grad(true);
  return inputs;
}

struct Outcome {
  double value = 0;
  bool finite_gradient = true;  // by what is the student's, and by the term's own parts; asked of finite values
};

class ExtremeValuesTest : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }  // more would only wait for each other

  // With `change` of what is read.
  Outcome Learn(at::ScalarType type, const std::function<void(Inputs&)>& change) const {
    config::Objective config;
    *config.add_term() = Parse<config::Term>(GetParam());
    Objective objective = Objective::Create(config).value();
    at::manual_seed(11);
    EXPECT_EQ(objective.Prepare(StepOf(Learnable(Ordinary(type))), 10), absl::OkStatus());
    Inputs inputs = Ordinary(type);
    change(inputs);
    inputs = Learnable(std::move(inputs));
    std::vector<at::Tensor> leaves;
    for (const Facts::Tensor tensor : kLearnable) leaves.push_back(inputs[tensor]);
    for (const auto& [_, parameter] : objective.Parameters()) leaves.push_back(parameter);
    const absl::StatusOr<Objective::Loss> loss = objective.Compute(StepOf(inputs));
    EXPECT_TRUE(loss.ok()) << loss.status();
    if (!loss.ok()) return {};
    Outcome outcome;
    outcome.value = loss->total.item<double>();
    if (!std::isfinite(outcome.value) || !loss->total.requires_grad()) return outcome;
    loss->total.backward();
    for (const at::Tensor& leaf : leaves) {
      if (leaf.grad().defined()) outcome.finite_gradient &= at::isfinite(leaf.grad()).all().item<bool>();
    }
    return outcome;
  }

  // With number `i` of the row of `tensor` being `value`.
  Outcome LearnWith(at::ScalarType type, const std::vector<Facts::Tensor>& tensors, int64_t i, double value) const {
    return Learn(type, [&](Inputs& inputs) {
      for (const Facts::Tensor tensor : tensors) inputs[tensor][kRow].flatten()[i] = value;
    });
  }

  // Of what the term reads, but for labels and the like.
  std::vector<Facts::Tensor> Read() const {
    const config::Term term = Parse<config::Term>(GetParam());
    const google::protobuf::FieldDescriptor* const field =
        term.GetReflection()->GetOneofFieldDescriptor(term, config::Term::descriptor()->FindOneofByName("term"));
    std::vector<Facts::Tensor> read;
    for (const int tensor : field->message_type()->options().GetExtension(config::facts).reads()) {
      if (tensor != Facts::LABELS && tensor != Facts::INDEX && tensor != Facts::IMAGES) {
        read.push_back(static_cast<Facts::Tensor>(tensor));
      }
    }
    return read;
  }

  // A row of logits one of which is -inf has no spread.
  bool Standardizes() const { return absl::StrContains(GetParam(), "standardize: true"); }

  static bool OfLogits(Facts::Tensor tensor) {
    return tensor == Facts::STUDENT_LOGITS || tensor == Facts::TEACHER_LOGITS || tensor == Facts::DISTILLATION_LOGITS;
  }

  static std::string Text(at::ScalarType type, Facts::Tensor tensor, int64_t i, double value) {
    return absl::StrCat(value, " in number ", i, " of ", Facts::Tensor_Name(tensor), ", ", c10::toString(type));
  }

 private:
  static Step StepOf(const Inputs& inputs) {
    Step step;
    // The student's logits are made of its tap and of the images, too.
    step.images = inputs.at(Facts::IMAGES);
    const auto some = [](const at::Tensor& x) { return x.flatten(1).narrow(1, 0, 5) * 0.1; };
    step.student.logits = inputs.at(Facts::STUDENT_LOGITS) + some(inputs.at(Facts::STUDENT_TAPS)) + some(step.images);
    step.student.distillation_logits = inputs.at(Facts::DISTILLATION_LOGITS);
    step.student.taps["s"] = inputs.at(Facts::STUDENT_TAPS);
    step.student.embedding = inputs.at(Facts::STUDENT_EMBEDDING);
    step.teacher.logits = inputs.at(Facts::TEACHER_LOGITS);
    step.teacher.taps["t"] = inputs.at(Facts::TEACHER_TAPS);
    step.teacher.maps["t"] = step.teacher.taps["t"].square().mean(1);
    step.teacher.embedding = inputs.at(Facts::TEACHER_EMBEDDING);
    step.teacher.gradients.images = inputs.at(Facts::IMAGE_GRADIENTS);
    step.teacher.gradients.maps["t"] = inputs.at(Facts::TAP_GRADIENTS);
    step.labels = at::tensor({0, 3, 3, 1}, at::kLong);
    step.index = at::arange(4);
    return step;
  }
};

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kDouble};
constexpr int64_t kNumbers = 5;  // of a row that are changed: all of logits

TEST_P(ExtremeValuesTest, LargeNumbersHaveAFiniteValueAndGradient) {
  for (const at::ScalarType type : kTypes) {
    for (const Facts::Tensor tensor : Read()) {
      for (int64_t i = 0; i < kNumbers; ++i) {
        for (const double value : {1e4, -1e4}) {
          const Outcome outcome = LearnWith(type, {tensor}, i, value);
          EXPECT_TRUE(std::isfinite(outcome.value)) << Text(type, tensor, i, value);
          EXPECT_TRUE(outcome.finite_gradient) << Text(type, tensor, i, value);
        }
      }
      const Outcome row = Learn(type, [&](Inputs& inputs) { inputs[tensor][kRow] *= 1e4; });
      EXPECT_TRUE(std::isfinite(row.value)) << Facts::Tensor_Name(tensor);
      EXPECT_TRUE(row.finite_gradient) << Facts::Tensor_Name(tensor);
    }
  }
}

// So that a training stops.
TEST_P(ExtremeValuesTest, NaNGivesNaN) {
  for (const at::ScalarType type : kTypes) {
    for (const Facts::Tensor tensor : Read()) {
      for (int64_t i = 0; i < kNumbers; ++i) {
        const Outcome outcome = LearnWith(type, {tensor}, i, kNaN);
        EXPECT_TRUE(std::isnan(outcome.value)) << outcome.value << " of " << Text(type, tensor, i, kNaN);
      }
    }
  }
}

// Of a logit, which is then of probability 0, a finite value, or +inf where the teacher gives that class weight and the
// student none; of anything else a finite value or none.
TEST_P(ExtremeValuesTest, InfinityIsFiniteOrSeenInTheValue) {
  for (const at::ScalarType type : kTypes) {
    for (const Facts::Tensor tensor : Read()) {
      for (int64_t i = 0; i < kNumbers; ++i) {
        const Outcome outcome = LearnWith(type, {tensor}, i, -kInfinity);
        EXPECT_TRUE(outcome.finite_gradient) << Text(type, tensor, i, -kInfinity);
        if (!OfLogits(tensor)) continue;
        if (Standardizes()) {
          EXPECT_TRUE(std::isnan(outcome.value));
          continue;
        }
        EXPECT_FALSE(std::isnan(outcome.value)) << Text(type, tensor, i, -kInfinity);
        if (tensor == Facts::TEACHER_LOGITS) {
          EXPECT_TRUE(std::isfinite(outcome.value)) << Text(type, tensor, i, -kInfinity);
        }
      }
    }
  }
}

// A class that both know to be impossible.
TEST_P(ExtremeValuesTest, InfinityOfBothSidesIsFinite) {
  std::vector<Facts::Tensor> logits;
  for (const Facts::Tensor tensor : Read()) {
    if (OfLogits(tensor)) logits.push_back(tensor);
  }
  if (logits.size() < 2 || Standardizes()) return;
  // A tail that is shared evenly gives every class weight.
  const bool shared = absl::StrContains(GetParam(), "k: 2 }");
  for (const at::ScalarType type : kTypes) {
    for (int64_t i = 0; i < kNumbers; ++i) {
      const Outcome outcome = LearnWith(type, logits, i, -kInfinity);
      EXPECT_TRUE(shared ? outcome.value == kInfinity : std::isfinite(outcome.value)) << i << ": " << outcome.value;
      EXPECT_TRUE(outcome.finite_gradient) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Terms, ExtremeValuesTest, ::testing::ValuesIn(Terms()), [](const auto& test) {
  return absl::StrCat(test.param.substr(0, test.param.find(' ')), "_", test.index);
});

}  // namespace
}  // namespace retort::kd
