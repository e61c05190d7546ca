#include "retort/data/views/crop_plan.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/augment.pb.h"
#include "retort/ops/resize/crop_resize_params.h"

namespace retort::data {
namespace {

using ::google::protobuf::RepeatedPtrField;
using ::testing::HasSubstr;

RepeatedPtrField<config::AugmentStep> Steps(const std::vector<std::string>& texts) {
  RepeatedPtrField<config::AugmentStep> steps;
  for (const std::string& text : texts) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, steps.Add())) << text;
  }
  return steps;
}

CropPlan Plan(const std::vector<std::string>& texts, uint64_t seed = 1) {
  return CropPlan::Create(Steps(texts), seed).value();
}

std::tuple<int, int, int, int> Tuple(const Rectangle& r) { return {r.top, r.left, r.height, r.width}; }

std::tuple<int, int, int, int, int, int, int, int, int, int, int, int, int> Tuple(const ops::CropResizeParams& p) {
  return {p.top,         p.left, p.height,    p.width,      p.resized_height, p.resized_width, p.window_top,
          p.window_left, p.flip, p.erase_top, p.erase_left, p.erase_height,   p.erase_width};
}

// Sizes that torchvision 0.26.0 gives: transforms.functional._compute_resized_output_size((h, w), [size]) and
// center_crop's crop_top, crop_left.
TEST(CropPlanTest, EvaluationHasTorchvisionsGeometry) {
  EXPECT_EQ(Tuple(ResizedShorterSide(375, 500, 256)), std::make_tuple(0, 0, 256, 341));
  EXPECT_EQ(Tuple(ResizedShorterSide(500, 375, 256)), std::make_tuple(0, 0, 341, 256));
  EXPECT_EQ(Tuple(ResizedShorterSide(256, 256, 256)), std::make_tuple(0, 0, 256, 256));
  EXPECT_EQ(Tuple(ResizedShorterSide(1, 9, 5)), std::make_tuple(0, 0, 5, 45));
  EXPECT_EQ(Tuple(CentralSquare(256, 341, 224)), std::make_tuple(16, 58, 224, 224));
  EXPECT_EQ(Tuple(CentralSquare(225, 227, 224)), std::make_tuple(0, 2, 224, 224));
  const ops::CropResizeParams params = Plan({"resize {}", "center_crop {}"}).Draw(7, 0, 375, 500);
  EXPECT_EQ(Tuple(params), std::make_tuple(0, 0, 375, 500, 256, 341, 16, 58, 0, 0, 0, 0, 0));
}

TEST(CropPlanTest, DrawsAreAFunctionOfSeedImageAndView) {
  const std::vector<std::string> steps = {"random_resized_crop {}", "flip {}", "random_erasing {}"};
  const CropPlan plan = Plan(steps), same = Plan(steps), other = Plan(steps, 2);
  std::set<decltype(Tuple(ops::CropResizeParams()))> seen;
  for (int64_t image = 0; image < 20; ++image) {
    for (int64_t view = 0; view < 5; ++view) {
      const auto params = Tuple(plan.Draw(image, view, 375, 500));
      EXPECT_EQ(params, Tuple(same.Draw(image, view, 375, 500)));
      EXPECT_NE(params, Tuple(other.Draw(image, view, 375, 500)));
      seen.insert(params);
    }
  }
  EXPECT_EQ(seen.size(), 100u);
}

// A step's draws do not depend on which other steps there are.
TEST(CropPlanTest, StepsDrawApart) {
  const CropPlan alone = Plan({"random_resized_crop {}"});
  const CropPlan all = Plan({"random_resized_crop {}", "flip {}", "random_erasing {}"});
  for (int64_t image = 0; image < 20; ++image) {
    const ops::CropResizeParams a = alone.Draw(image, 0, 100, 90), b = all.Draw(image, 0, 100, 90);
    EXPECT_EQ(std::tie(a.top, a.left, a.height, a.width), std::tie(b.top, b.left, b.height, b.width));
    EXPECT_EQ(a.flip, 0);
    EXPECT_EQ(a.erase_height, 0);
  }
}

TEST(CropPlanTest, BoxesLieWithinTheImageAndFollowTheirLaw) {
  const config::RandomResizedCrop step;
  constexpr int kDraws = 20000, kHeight = 400, kWidth = 400;
  // Of a square image nearly every first attempt fits, so that areas are nearly uniform, aspects log-uniform.
  std::vector<int> area_counts(9), aspect_counts(8);
  double top = 0, left = 0;
  for (int image = 0; image < kDraws; ++image) {
    const Rectangle box = DrawResizedCrop(step, kHeight, kWidth, StepBits(3, image, 0, 13));
    ASSERT_TRUE(box.height >= 1 && box.width >= 1 && box.top >= 0 && box.left >= 0);
    ASSERT_TRUE(box.top + box.height <= kHeight && box.left + box.width <= kWidth);
    const double area = static_cast<double>(box.height) * box.width / (kHeight * kWidth);
    const double aspect = static_cast<double>(box.width) / box.height;
    ASSERT_GT(area, 0.079);
    ASSERT_GT(aspect, 0.74);
    ASSERT_LT(aspect, 1.35);
    if (area < 0.7) ++area_counts[static_cast<size_t>(area / 0.7 * 9)];
    // Up to an area of 3/4 every aspect fits.
    if (area < 0.7)
      ++aspect_counts[static_cast<size_t>(std::clamp(std::log(aspect / 0.75) / std::log(16.0 / 9) * 8, 0.0, 7.0))];
    if (box.height < kHeight) top += static_cast<double>(box.top) / (kHeight - box.height) / kDraws;
    if (box.width < kWidth) left += static_cast<double>(box.left) / (kWidth - box.width) / kDraws;
  }
  const int aspects = aspect_counts[3];
  for (const int count : aspect_counts) EXPECT_NEAR(count, aspects, 6 * std::sqrt(aspects));
  // Areas of 0.08..0.7 in ninths: the first begins at 0.0778.
  for (size_t i = 2; i < area_counts.size(); ++i) {
    EXPECT_NEAR(area_counts[i], area_counts[1], 6 * std::sqrt(area_counts[1])) << i;
  }
  EXPECT_NEAR(top, 0.5, 0.02);
  EXPECT_NEAR(left, 0.5, 0.02);
}

TEST(CropPlanTest, WhereNoBoxFitsTheCentralOneIsTaken) {
  config::RandomResizedCrop step;
  step.set_min_area(1);
  EXPECT_EQ(Tuple(DrawResizedCrop(step, 100, 1000, StepBits(1, 2, 3, 13))), std::make_tuple(0, 433, 100, 133));
  EXPECT_EQ(Tuple(DrawResizedCrop(step, 1000, 90, StepBits(1, 2, 3, 13))), std::make_tuple(440, 0, 120, 90));
  step.set_min_aspect(1.2);
  EXPECT_EQ(Tuple(DrawResizedCrop(step, 1, 1, StepBits(1, 2, 3, 13))), std::make_tuple(0, 0, 1, 1));
}

TEST(CropPlanTest, ErasesAsOftenAndAsMuchAsAsked) {
  const config::RandomErasing step;
  constexpr int kDraws = 20000;
  int erased = 0;
  for (int image = 0; image < kDraws; ++image) {
    const Rectangle box = DrawErasing(step, 224, 224, StepBits(3, image, 0, 12));
    if (box.height == 0) continue;
    ++erased;
    ASSERT_TRUE(box.top >= 0 && box.left >= 0 && box.top + box.height <= 224 && box.left + box.width <= 224);
    const double area = static_cast<double>(box.height) * box.width / (224 * 224);
    const double aspect = static_cast<double>(box.height) / box.width;
    ASSERT_TRUE(area > 0.019 && area < 0.335 && aspect > 0.29 && aspect < 3.4) << area << " " << aspect;
  }
  EXPECT_NEAR(erased, kDraws / 2, 5 * std::sqrt(kDraws) / 2);
  config::RandomErasing never;
  never.set_probability(0);
  EXPECT_EQ(DrawErasing(never, 224, 224, StepBits(3, 1, 0, 12)).height, 0);
  config::RandomErasing whole;
  whole.set_probability(1);
  whole.set_min_area(1);
  whole.set_max_area(1);
  EXPECT_EQ(DrawErasing(whole, 224, 224, StepBits(3, 1, 0, 12)).height, 0);
}

TEST(CropPlanTest, ShowsTheSameBoxAtAnotherSize) {
  const CropPlan plan = Plan({"random_resized_crop { size: 64 }", "flip {}", "rand_augment {}"});
  const CropPlan resized = plan.Resized(96);
  EXPECT_EQ(resized.size(), 96);
  EXPECT_EQ(resized.policies().size(), 1u);
  for (int64_t image = 0; image < 50; ++image) {
    const ops::CropResizeParams a = plan.Draw(image, 3, 200, 300), b = resized.Draw(image, 3, 200, 300);
    EXPECT_EQ(std::make_tuple(a.top, a.left, a.height, a.width, a.flip),
              std::make_tuple(b.top, b.left, b.height, b.width, b.flip));
    EXPECT_EQ(b.resized_height, 96);
  }
  const ops::CropResizeParams central =
      Plan({"resize { size: 256 }", "center_crop { size: 224 }"}).Resized(112).Draw(0, 0, 300, 400);
  EXPECT_EQ(central.resized_height, 128);
  EXPECT_EQ(central.window_top, 8);
}

struct BadSteps {
  std::string name;
  std::vector<std::string> steps;
  std::string message;
};

class CropPlanBadStepsTest : public ::testing::TestWithParam<BadSteps> {};

TEST_P(CropPlanBadStepsTest, AreRefused) {
  const absl::Status status = CropPlan::Create(Steps(GetParam().steps), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, CropPlanBadStepsTest,
    ::testing::Values(
        BadSteps{"None", {}, "gives no size to the views"},
        BadSteps{"ResizeAlone", {"resize {}"}, "gives no size to the views"},
        BadSteps{"Empty", {""}, "step[0] is out of place"},
        BadSteps{"PolicyAfterErasing",
                 {"random_resized_crop {}", "random_erasing {}", "rand_augment {}"},
                 "step[2] is out of place"},
        BadSteps{"PoliciesTurned",
                 {"random_resized_crop {}", "rand_augment {}", "auto_augment {}"},
                 "step[2] is out of place"},
        BadSteps{
            "PolicyOutOfRange", {"random_resized_crop {}", "aug_mix { severity: 0 }"}, "step[1]: aug_mix.severity"},
        BadSteps{"Cutout", {"random_resized_crop {}", "cutout {}"}, "step[1] is out of place"},
        BadSteps{"SmallImages", {"crop {}"}, "step[0] is out of place"},
        BadSteps{"CenterCropAlone", {"center_crop {}"}, "step[0] is out of place"},
        BadSteps{"TwoSizes", {"random_resized_crop {}", "resize {}"}, "step[1] is out of place"},
        BadSteps{"TwoFlips", {"random_resized_crop {}", "flip {}", "flip {}"}, "step[2] is out of place"},
        BadSteps{"FlipLate", {"random_resized_crop {}", "random_erasing {}", "flip {}"}, "step[2] is out of place"},
        BadSteps{
            "CropLarger", {"resize { size: 200 }", "center_crop {}"}, "center_crop.size is 224, but resize leaves 200"},
        BadSteps{
            "NoSize", {"random_resized_crop { size: 0 }"}, "random_resized_crop.size is 0; permitted are 1..16384"},
        BadSteps{"AreaTwice", {"random_resized_crop { max_area: 2 }"}, "area 0.08..2"},
        BadSteps{"AspectTurned", {"random_resized_crop { min_aspect: 2 max_aspect: 1 }"}, "aspect 2..1"},
        BadSteps{"AspectNotANumber", {"random_resized_crop { min_aspect: nan }"}, "aspect nan"},
        BadSteps{"Improbable", {"random_resized_crop {}", "random_erasing { probability: 1.5 }"}, "random_erasing"},
        BadSteps{"FlipTwice", {"random_resized_crop {}", "flip { probability: 2 }"}, "flip.probability is 2"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::data
