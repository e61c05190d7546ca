#include "retort/data/views/view_plan.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/augment.pb.h"

namespace retort::data {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<ViewPlan> Make(const std::vector<std::string>& texts, uint64_t seed = 5) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  for (const std::string& text : texts) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, steps.Add())) << text;
  }
  return ViewPlan::Create(steps, seed);
}

TEST(ViewPlanTest, TheFirstStepDecidesTheSize) {
  const ViewPlan as_it_is = ViewPlan(), small = Make({"crop {}", "rand_augment {}"}).value(),
                 sized = Make({"random_resized_crop { size: 48 }", "rand_augment {}"}).value();
  EXPECT_NE(as_it_is.augment(), nullptr);
  EXPECT_NE(small.augment(), nullptr);
  EXPECT_EQ(small.crop(), nullptr);
  EXPECT_EQ(small.SizeOf({30, 40}).width, 40);
  EXPECT_EQ(sized.augment(), nullptr);
  ASSERT_NE(sized.crop(), nullptr);
  EXPECT_EQ(sized.SizeOf({30, 40}).width, 48);
  EXPECT_EQ(sized.SizeOf({30, 40}).height, 48);
  for (const ViewPlan& plan : {small, sized}) {
    EXPECT_EQ(plan.policies().size(), 1u);
    EXPECT_EQ(plan.seed(), 5u);
    EXPECT_EQ(plan.mix(), nullptr);
  }
}

TEST(ViewPlanTest, ResizedViewsMixAlike) {
  const ViewPlan plan = Make({"resize { size: 20 }", "center_crop { size: 16 }", "mixup {}"}).value();
  const ViewPlan resized = plan.Resized(32).value();
  EXPECT_EQ(resized.SizeOf({8, 8}).height, 32);
  EXPECT_EQ(resized.mix()->Draw(3, 1, 32, 32).lambda, plan.mix()->Draw(3, 1, 16, 16).lambda);
  EXPECT_EQ(Make({"crop {}"})->Resized(32).status().code(), absl::StatusCode::kInvalidArgument);
}

MixPlan Mixes(const std::vector<std::string>& texts, uint64_t seed = 5) { return *Make(texts, seed)->mix(); }

TEST(MixPlanTest, IsAFunctionOfSeedImageAndView) {
  const MixPlan plan = Mixes({"mixup {}"}), again = Mixes({"flip {}", "mixup {}"}), other = Mixes({"mixup {}"}, 6);
  int different = 0;
  for (int64_t image = 99; image >= 0; --image) {
    const float lambda = plan.Draw(image, 2, 8, 8).lambda;
    EXPECT_EQ(lambda, again.Draw(image, 2, 8, 8).lambda);
    different += lambda != other.Draw(image, 2, 8, 8).lambda && lambda != plan.Draw(image, 3, 8, 8).lambda ? 1 : 0;
  }
  EXPECT_EQ(different, 100);
}

// Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)); its fourth central moment is
// 3 / (16 (2 a + 1) (2 a + 3)).
TEST(MixPlanTest, LambdaIsOfABetaDistribution) {
  constexpr int kDraws = 40000;
  for (const double alpha : {0.2, 1.0, 3.0}) {
    const MixPlan plan = Mixes({"mixup { alpha: " + std::to_string(alpha) + " }"});
    double sum = 0, squares = 0;
    for (int64_t image = 0; image < kDraws; ++image) {
      const MixPlan::Mix mix = plan.Draw(image, 0, 8, 8);
      ASSERT_GE(mix.lambda, 0);
      ASSERT_LE(mix.lambda, 1);
      ASSERT_EQ(mix.label, mix.lambda);
      ASSERT_EQ(mix.box.bottom, mix.box.top);
      sum += mix.lambda;
      squares += (mix.lambda - 0.5) * (mix.lambda - 0.5);
    }
    const double variance = 1 / (4 * (2 * alpha + 1)), fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3));
    // Four standard errors of each.
    EXPECT_NEAR(sum / kDraws, 0.5, 4 * std::sqrt(variance / kDraws)) << alpha;
    EXPECT_NEAR(squares / kDraws, variance, 4 * std::sqrt((fourth - variance * variance) / kDraws)) << alpha;
  }
}

// Of a box of sides s = sqrt(1 - lambda), lambda uniform, centred uniformly, the expected part within the unit square
// is the square of (s - s^2 / 4): E = integral_0^1 2 s (s - s^2 / 4)^2 ds = 1/2 - 1/5 + 1/48. On pixels sides are
// rounded down to even numbers and so smaller; 1000 of them leave no more than 2 E[2 s] / 1000.
TEST(MixPlanTest, BoxesOfCutMixFollowTheirLaw) {
  constexpr int kDraws = 40000, kSide = 1000;
  const MixPlan plan = Mixes({"cut_mix {}"});
  double sum = 0;
  for (int64_t image = 0; image < kDraws; ++image) {
    const MixPlan::Mix mix = plan.Draw(image, 0, kSide, kSide);
    ASSERT_TRUE(0 <= mix.box.top && mix.box.top <= mix.box.bottom && mix.box.bottom <= kSide);
    ASSERT_TRUE(0 <= mix.box.left && mix.box.left <= mix.box.right && mix.box.right <= kSide);
    ASSERT_EQ(mix.lambda, 1);
    const double share = static_cast<double>(mix.box.bottom - mix.box.top) * (mix.box.right - mix.box.left) / 1e6;
    ASSERT_NEAR(mix.label, 1 - share, 1e-6);
    sum += share;
  }
  // The standard deviation of a share is below 0.3.
  EXPECT_NEAR(sum / kDraws, 0.5 - 0.2 + 1.0 / 48, 4 * 0.3 / std::sqrt(kDraws) + 0.003);
}

TEST(MixPlanTest, AnImageGetsOneOfBothAsOftenAsAsked) {
  const MixPlan plan = Mixes({"mixup { probability: 0.2 }", "cut_mix { probability: 0.5 }"});
  const MixPlan alone = Mixes({"mixup { probability: 0.2 }"});
  int mixup = 0, cut_mix = 0;
  for (int64_t image = 0; image < 10000; ++image) {
    const MixPlan::Mix mix = plan.Draw(image, 1, 200, 100);
    const bool cut = mix.box.bottom > mix.box.top && mix.box.right > mix.box.left;
    if (!cut) {
      EXPECT_EQ(mix.lambda, alone.Draw(image, 1, 200, 100).lambda);
    }
    mixup += mix.lambda < 1 ? 1 : 0;
    cut_mix += cut ? 1 : 0;
    EXPECT_FALSE(cut && mix.lambda < 1);
  }
  // Four standard deviations. In f32, 1.6 % of Beta(0.2, 0.2) are 1.
  EXPECT_NEAR(mixup, 2000 * (1 - 0.016), 4 * 40);
  EXPECT_NEAR(cut_mix, 5000, 4 * 50);
}

struct BadSteps {
  std::string name;
  std::vector<std::string> steps;
  std::string message;
};

class ViewPlanBadStepsTest : public ::testing::TestWithParam<BadSteps> {};

TEST_P(ViewPlanBadStepsTest, AreRefused) {
  const absl::Status status = Make(GetParam().steps).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Steps, ViewPlanBadStepsTest,
    ::testing::Values(BadSteps{"MixThenFlip", {"mixup {}", "flip {}"}, "come after all others"},
                      BadSteps{"TwoMixups", {"mixup {}", "mixup {}"}, "come after all others"},
                      BadSteps{"CutMixThenMixup", {"cut_mix {}", "mixup {}"}, "come after all others"},
                      BadSteps{
                          "BothAlways", {"mixup {}", "cut_mix {}"}, "probabilities of mixup and cut_mix are 1 and 1"},
                      BadSteps{"NoAlpha", {"mixup { alpha: 0 }"}, "mixup has alpha 0 and probability 1"},
                      BadSteps{"NoProbability", {"cut_mix { probability: nan }"}, "cut_mix has alpha 1"},
                      BadSteps{"CenterCropAlone", {"center_crop {}"}, "step[0] is out of place"},
                      BadSteps{"SizedCutout", {"random_resized_crop {}", "cutout {}"}, "step[1] is out of place"},
                      BadSteps{"CropThenResize", {"crop {}", "resize {}"}, "step[1] is out of place"}),
    [](const auto& instance) { return instance.param.name; });

// Uniform among all others, and never the image itself.
TEST(MixPlanTest, DrawsAPartner) {
  const MixPlan plan = Mixes({"mixup {}"}), other = Mixes({"mixup {}"}, 6);
  constexpr int64_t kImages = 5, kViews = 4000;
  int differ = 0;
  for (int64_t image = 0; image < kImages; ++image) {
    std::vector<int> count(kImages, 0);
    for (int64_t view = 0; view < kViews; ++view) {
      const int64_t partner = plan.DrawPartner(image, view, kImages);
      ASSERT_GE(partner, 0);
      ASSERT_LT(partner, kImages);
      EXPECT_EQ(partner, plan.DrawPartner(image, view, kImages));
      differ += partner != other.DrawPartner(image, view, kImages);
      ++count[static_cast<size_t>(partner)];
    }
    EXPECT_EQ(count[static_cast<size_t>(image)], 0);
    for (int64_t partner = 0; partner < kImages; ++partner) {
      // Five standard deviations of a binomial of 1/4.
      if (partner == image) continue;
      EXPECT_NEAR(count[static_cast<size_t>(partner)], kViews / 4, 140) << image;
    }
  }
  EXPECT_GT(differ, kImages * kViews / 2);
  EXPECT_EQ(plan.DrawPartner(0, 3, 1), 0);
}

TEST(ViewPlanTest, IsMixedAsAnother) {
  const ViewPlan plan = Make({"crop {}", "flip {}"}).value(), mixing = Make({"mixup {}"}, 9).value();
  const ViewPlan both = plan.MixedAs(mixing);
  ASSERT_NE(both.mix(), nullptr);
  EXPECT_EQ(both.mix()->Draw(3, 1, 8, 8).lambda, mixing.mix()->Draw(3, 1, 8, 8).lambda);
  EXPECT_EQ(both.augment()->Draw(3, 1, 8, 8).dy, plan.augment()->Draw(3, 1, 8, 8).dy);
  EXPECT_EQ(mixing.MixedAs(plan).mix(), nullptr);
}

}  // namespace
}  // namespace retort::data
