#include "retort/kd/terms/distill_kl.h"

#include <cmath>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"
#include "retort/testing/gradient_check.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeDistillKl(Parse<config::DistillKl>(text)); };
}

struct Case {
  std::string name;
  double temperature;
  config::DistillKl::Form form;
  double value;          // published, see fixtures.h
  double gradient_norm;  // published
  double single_image;   // published, for SingleImage()
};

class DistillKlTest : public ::testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Term> MakeCase() const {
    config::DistillKl config;
    config.set_temperature(GetParam().temperature);
    config.set_form(GetParam().form);
    return MakeDistillKl(config);
  }

  TermOf OfStudent() const {
    return [this](const at::Tensor& logits) {
      Step step;
      step.student.logits = logits;
      step.teacher.logits = TeacherLogits().to(logits.scalar_type());
      return MakeCase()->Compute(step).value();
    };
  }
};

TEST_P(DistillKlTest, EqualsThePublishedValues) {
  for (const auto& [type, tolerance] : kPrecisions) {
    const at::Tensor logits = StudentLogits().to(type);
    EXPECT_NEAR(OfStudent()(logits).item<double>(), GetParam().value, tolerance * GetParam().value);
    EXPECT_NEAR(GradientNorm(OfStudent(), logits), GetParam().gradient_norm, tolerance * GetParam().gradient_norm);
  }
  EXPECT_NEAR(MakeCase()->Compute(SingleImage())->item<double>(), GetParam().single_image, 1e-6);
}

TEST_P(DistillKlTest, GradientIsThatOfCentralDifferences) {
  EXPECT_LT(testing::GradientError(OfStudent(), StudentLogits()), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, DistillKlTest,
    ::testing::Values(Case{"kl_t1", 1, config::DistillKl::KL, 2.14881077887, 0.40844585696, 0.229512},
                      Case{"kl_t2", 2, config::DistillKl::KL, 3.1845337876, 0.531258237024, 0.825385},
                      Case{"kl_t4", 4, config::DistillKl::KL, 3.99083614555, 0.613367842733, 1.317206},
                      Case{"tutorial_t2", 2, config::DistillKl::SOFT_CROSS_ENTROPY, 7.80937356827, 0.531258237024,
                           4.338510}),
    [](const auto& test) { return test.param.name; });

TEST(DistillKlFormTest, EqualsThePublishedValues) {
  const auto of = [](const char* text) { return OfLogits(Make(text), TeacherLogits()); };
  ExpectPublished(of("standardize: true temperature: 2"), StudentLogits(), 0.643439116088, 0.0513588162824);
  ExpectPublished(of("form: SOFT_CROSS_ENTROPY temperature: 1"), StudentLogits(), 2.95898304804, 0.40844585696);
  // KL at T = 1 and T = 3 divided by 5 classes: what facebookresearch/deit gives for the same logits.
  ExpectPublished(of("form: ELEMENT_MEAN_KL temperature: 1"), StudentLogits(), 0.429762155773, 0.081689171392);
  ExpectPublished(of("form: ELEMENT_MEAN_KL temperature: 3"), StudentLogits(), 0.74097539313, 0.116993066359);
}

TEST(StandardizedDistillKlTest, DoesNotDependOnScaleAndShiftOfLogits) {
  const double value = OfLogits(Make("standardize: true"), TeacherLogits())(StudentLogits()).item<double>();
  EXPECT_NEAR(OfLogits(Make("standardize: true"), TeacherLogits() * 3 - 1)(StudentLogits() * 0.1 + 5).item<double>(),
              value, 1e-5);  // 1e-7 is added to deviations
  ExpectGradient(OfLogits(Make("standardize: true"), TeacherLogits()), StudentLogits());
}

TEST(StandardizedDistillKlTest, TakesARowOfEqualLogitsForZeros) {
  const TermOf f = OfLogits(Make("standardize: true"), TeacherLogits());
  EXPECT_TRUE(std::isfinite(f(at::zeros_like(StudentLogits())).item<double>()));
  EXPECT_TRUE(std::isfinite(GradientNorm(f, at::zeros_like(StudentLogits()))));
}

TEST(StandardizedDistillKlTest, RefusesASingleClass) {
  Step step = SingleImage();
  step.student.logits = step.teacher.logits = step.teacher.logits.slice(1, 0, 1);
  ExpectFault(Make("standardize: true")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "standardize");
}

TEST(DistillKlFormTest, OfEqualLogitsIsZero) {
  for (const char* text : {"", "standardize: true", "form: ELEMENT_MEAN_KL"}) {
    EXPECT_NEAR(OfLogits(Make(text), TeacherLogits())(TeacherLogits()).item<double>(), 0, 1e-12) << text;
  }
}

TEST(DistillKlErrorTest, RefusesATeacherOfOtherClasses) {
  Step step = SingleImage();
  step.teacher.logits = TeacherLogits();
  const absl::Status status = MakeDistillKl({})->Compute(step).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("[1,4]"), absl::string_view::npos) << status;
  EXPECT_NE(status.message().find("[4,5]"), absl::string_view::npos) << status;
}

TEST(DistillKlErrorTest, RefusesAMissingTeacher) {
  Step step = SingleImage();
  step.teacher.logits.reset();
  EXPECT_EQ(MakeDistillKl({})->Compute(step).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace retort::kd
