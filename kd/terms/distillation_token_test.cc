#include "retort/kd/terms/distillation_token.h"

#include <string>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeDistillationToken(Parse<config::DistillationToken>(text)); };
}

TermOf OfToken(const std::string& text) {
  return [=](const at::Tensor& logits) {
    Step step;
    step.student.logits = logits * 0;
    step.student.distillation_logits = logits;
    step.teacher.logits = TeacherLogits().to(logits.scalar_type());
    return Make(text)()->Compute(step).value();
  };
}

TEST(DistillationTokenTest, EqualsThePublishedValues) {
  ExpectPublished(OfToken("soft {}"), StudentLogits(), 0.429762155773, 0.081689171392);
  ExpectPublished(OfToken("soft { temperature: 3 }"), StudentLogits(), 0.74097539313, 0.116993066359);
  ExpectPublished(OfToken("hard {}"), StudentLogits(), 3.03124132652, 0.554954753497);
}

TEST(DistillationTokenTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfToken("soft { temperature: 3 }"), StudentLogits());
  ExpectGradient(OfToken("hard {}"), StudentLogits());
}

TEST(DistillationTokenErrorTest, RefusesAStudentWithoutOne) {
  ExpectFault(Make("hard {}")()->Compute(SingleImage()).status(), absl::StatusCode::kInvalidArgument,
              "distillation token nothing");
}

// As a trainer shows it, which prepares terms with a student in evaluation mode.
TEST(DistillationTokenTest, IsPreparedByAStudentThatIsNotInTraining) {
  Step step = SingleImage();
  EXPECT_EQ(Make("hard {}")()->Prepare(step, 10), absl::OkStatus());
  step.student.distillation_logits = StudentLogits();
  ExpectFault(Make("hard {}")()->Prepare(step, 10), absl::StatusCode::kInvalidArgument, "[4,5]");
}

TEST(DistillationTokenErrorTest, NamesLogitsOfOtherShape) {
  Step step = SingleImage();
  step.student.distillation_logits = StudentLogits();
  ExpectFault(Make("soft {}")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "[4,5]");
}

}  // namespace
}  // namespace retort::kd
