#include "retort/data/views/augment_plan.h"

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/augment.pb.h"
#include "retort/data/views/crop_plan.h"

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

AugmentPlan Plan(const std::vector<std::string>& texts, uint64_t seed) {
  return AugmentPlan::Create(Steps(texts), seed).value();
}

std::tuple<int, int, int> Draw(const AugmentPlan& plan, int64_t image, int64_t view) {
  const ops::BatchAssemblyParams params = plan.Draw(image, view, 32, 32);
  return {params.dy, params.dx, params.flip};
}

double ChiSquare(const std::vector<int>& count, double expected) {
  double sum = 0;
  for (const int n : count) sum += (n - expected) * (n - expected) / expected;
  return sum;
}

TEST(AugmentPlanTest, WithoutStepsLeavesImagesAlone) {
  const AugmentPlan plan = Plan({}, 5);
  EXPECT_EQ(plan.pad(), 0);
  for (int64_t image = 0; image < 100; ++image) EXPECT_EQ(Draw(plan, image, 0), std::make_tuple(0, 0, 0));
}

TEST(AugmentPlanTest, TakesDefaultsFromTheSchema) {
  const AugmentPlan plan = Plan({"crop {}", "flip {}"}, 5);
  EXPECT_EQ(plan.pad(), 4);
  int flips = 0;
  for (int64_t image = 0; image < 10000; ++image) flips += plan.Draw(image, 0, 32, 32).flip;
  // Four standard deviations of a fair coin are 200.
  EXPECT_NEAR(flips, 5000, 200);
}

TEST(AugmentPlanTest, IsAFunctionOfSeedImageAndView) {
  const AugmentPlan plan = Plan({"crop {}", "flip {}"}, 5);
  std::vector<std::tuple<int, int, int>> forward, backward;
  for (int64_t image = 0; image < 50; ++image) forward.push_back(Draw(plan, image, 3));
  const AugmentPlan again = Plan({"crop {}", "flip {}"}, 5);
  for (int64_t image = 49; image >= 0; --image) backward.insert(backward.begin(), Draw(again, image, 3));
  EXPECT_EQ(forward, backward);
}

// Number of the first 1000 images that get other parameters.
int Different(const AugmentPlan& a, int64_t view_a, const AugmentPlan& b, int64_t view_b) {
  int different = 0;
  for (int64_t image = 0; image < 1000; ++image) different += Draw(a, image, view_a) != Draw(b, image, view_b) ? 1 : 0;
  return different;
}

TEST(AugmentPlanTest, DrawsAnewForEachSeedAndView) {
  const std::vector<std::string> steps = {"crop {}", "flip {}"};
  // 9 * 9 * 2 outcomes: about 994 of 1000 differ by chance.
  EXPECT_GT(Different(Plan(steps, 5), 0, Plan(steps, 6), 0), 970);
  EXPECT_GT(Different(Plan(steps, 5), 0, Plan(steps, uint64_t{5} | uint64_t{1} << 40), 0), 970);
  EXPECT_GT(Different(Plan(steps, 5), 0, Plan(steps, 5), 1), 970);
}

TEST(AugmentPlanTest, KeepsAStepsDrawsWhenAnotherIsAdded) {
  const AugmentPlan crop = Plan({"crop {}"}, 5), flip = Plan({"flip {}"}, 5), both = Plan({"crop {}", "flip {}"}, 5);
  for (int64_t image = 0; image < 100; ++image) {
    EXPECT_EQ(both.Draw(image, 2, 32, 32).dy, crop.Draw(image, 2, 32, 32).dy);
    EXPECT_EQ(both.Draw(image, 2, 32, 32).dx, crop.Draw(image, 2, 32, 32).dx);
    EXPECT_EQ(both.Draw(image, 2, 32, 32).flip, flip.Draw(image, 2, 32, 32).flip);
  }
}

TEST(AugmentPlanTest, DrawsEveryWindowAndMirrorEquallyOften) {
  const AugmentPlan plan = Plan({"crop { pad: 2 }", "flip {}"}, 29);
  constexpr int kOutcomes = 5 * 5 * 2;
  std::vector<int> count(kOutcomes);
  for (int64_t image = 0; image < 500; ++image) {
    for (int64_t view = 0; view < 50; ++view) {
      const ops::BatchAssemblyParams p = plan.Draw(image, view, 32, 32);
      ++count.at(static_cast<size_t>(((p.dy + 2) * 5 + p.dx + 2) * 2 + p.flip));
    }
  }
  // 49 degrees of freedom: 85.4 is exceeded with probability 0.001.
  EXPECT_LT(ChiSquare(count, 500.0 * 50 / kOutcomes), 85.4);
}

TEST(AugmentPlanTest, FlipsWithTheGivenProbability) {
  const AugmentPlan never = Plan({"flip { probability: 0 }"}, 1), always = Plan({"flip { probability: 1 }"}, 1),
                    seldom = Plan({"flip { probability: 0.1 }"}, 1);
  int flips = 0;
  for (int64_t image = 0; image < 10000; ++image) {
    EXPECT_EQ(never.Draw(image, 0, 32, 32).flip, 0);
    EXPECT_EQ(always.Draw(image, 0, 32, 32).flip, 1);
    flips += seldom.Draw(image, 0, 32, 32).flip;
  }
  EXPECT_NEAR(flips, 1000, 120);  // Four standard deviations.
}

TEST(AugmentPlanTest, TakesTheBorder) {
  EXPECT_EQ(Plan({"crop {}"}, 1).border(), ops::Border::kZero);
  EXPECT_EQ(Plan({"crop { border: REFLECT }"}, 1).border(), ops::Border::kReflect);
}

TEST(AugmentPlanTest, CentresCutoutOnEveryPixelEquallyOften) {
  const AugmentPlan plan = Plan({"cutout { size: 3 }"}, 31);
  constexpr int kHeight = 4, kWidth = 6;
  std::vector<int> count(kHeight * kWidth);
  for (int64_t image = 0; image < 12000; ++image) {
    const ops::Box box = plan.Draw(image, 0, kHeight, kWidth).erase;
    ASSERT_EQ(box.bottom - box.top, 3);
    ASSERT_EQ(box.right - box.left, 3);
    ++count.at(static_cast<size_t>((box.top + 1) * kWidth + box.left + 1));
  }
  // 23 degrees of freedom: 49.7 is exceeded with probability 0.001.
  EXPECT_LT(ChiSquare(count, 12000.0 / (kHeight * kWidth)), 49.7);
}

TEST(AugmentPlanTest, ErasesNothingUnasked) {
  const ops::Box box = Plan({"crop {}"}, 1).Draw(3, 0, 32, 32).erase;
  EXPECT_EQ(box.bottom, box.top);
}

// Pixels inside `box` of a view of 20 x 30.
int Area(const ops::Box& box) {
  int area = 0;
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 30; ++x) area += y >= box.top && y < box.bottom && x >= box.left && x < box.right ? 1 : 0;
  }
  return area;
}

TEST(AugmentPlanTest, ErasesRectanglesAsOftenAndAsLargeAsAsked) {
  const AugmentPlan plan = Plan({"random_erasing { probability: 0.25 min_area: 0.1 max_area: 0.2 }"}, 17);
  int erased = 0;
  for (int64_t image = 0; image < 10000; ++image) {
    const ops::Box box = plan.Draw(image, 2, 20, 30).erase;
    if (box.bottom <= box.top) continue;
    ++erased;
    // It lies within the view, and its sides are rounded: by half a pixel each of at least 4 (0.1 * 600, aspect 3.3).
    ASSERT_EQ(Area(box), (box.bottom - box.top) * (box.right - box.left));
    ASSERT_GE(Area(box), 0.1 * 600 - 0.5 * (20 + 30));
    ASSERT_LE(Area(box), 0.2 * 600 + 0.5 * (20 + 30));
  }
  EXPECT_NEAR(erased, 2500, 175);  // Four standard deviations.
}

// One law of erasing, whatever made the view.
TEST(AugmentPlanTest, ErasesWhereViewsOfTheirOwnSizeAreErased) {
  const AugmentPlan plan = Plan({"flip {}", "random_erasing {}"}, 17);
  const CropPlan sized =
      CropPlan::Create(Steps({"resize { size: 24 }", "center_crop { size: 24 }", "random_erasing {}"}), 17).value();
  for (int64_t image = 0; image < 100; ++image) {
    const ops::Box box = plan.Draw(image, 1, 24, 24).erase;
    const ops::CropResizeParams params = sized.Draw(image, 1, 50, 60);
    EXPECT_EQ(box.bottom - box.top, params.erase_height);
    EXPECT_EQ(box.right - box.left, params.erase_width);
    EXPECT_EQ(box.top, params.erase_top);
    EXPECT_EQ(box.left, params.erase_left);
  }
}

TEST(AugmentPlanTest, HoldsPoliciesInTheirOrder) {
  const AugmentPlan plan = Plan({"flip {}", "rand_augment { num_ops: 3 }", "color_jitter {}", "cutout {}"}, 9);
  EXPECT_EQ(plan.seed(), 9u);
  ASSERT_EQ(plan.policies().size(), 2u);
  EXPECT_EQ(plan.policies()[0].longest_chain(), 3);
  EXPECT_EQ(plan.policies()[1].longest_chain(), 4);
}

struct BadSteps {
  std::string name;
  std::vector<std::string> steps;
  std::string message;
};

class AugmentPlanBadStepsTest : public ::testing::TestWithParam<BadSteps> {};

TEST_P(AugmentPlanBadStepsTest, AreRefused) {
  const absl::Status status = AugmentPlan::Create(Steps(GetParam().steps), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Steps, AugmentPlanBadStepsTest,
    ::testing::Values(
        BadSteps{"FlipThenCrop", {"flip {}", "crop {}"}, "step[1] is a second one of its kind or comes too late"},
        BadSteps{"TwoCrops", {"crop {}", "crop {}"}, "step[1] is a second one of its kind or comes too late"},
        BadSteps{"CutoutThenFlip", {"cutout {}", "flip {}"}, "step[1] is a second one of its kind or comes too late"},
        BadSteps{"CutoutOfNothing", {"cutout { size: 0 }"}, "step[0]: cutout.size is 0; it must be at least 1"},
        BadSteps{"TwoFlips", {"crop {}", "flip {}", "flip {}"}, "step[2] is a second one"},
        BadSteps{"PolicyBeforeFlip",
                 {"auto_augment {}", "flip {}"},
                 "step[1] is a second one of its kind or comes too late"},
        BadSteps{"PolicyOutOfRange", {"crop {}", "aug_mix { severity: 0 }"}, "step[1]: aug_mix.severity is 0"},
        BadSteps{"Empty", {"crop {}", ""}, "step[1] is empty; give crop, flip, auto_augment"},
        BadSteps{"CutoutAndErasing",
                 {"cutout {}", "random_erasing {}"},
                 "step[1] is random_erasing after cutout; a view has one erased rectangle"},
        BadSteps{"ErasingThenFlip",
                 {"random_erasing {}", "flip {}"},
                 "step[1] is a second one of its kind or comes too late"},
        BadSteps{"ErasingOfTooMuch",
                 {"flip {}", "random_erasing { max_area: 1.5 }"},
                 "step[1]: random_erasing has area 0.02..1.5"},
        BadSteps{"ViewsOfTheirOwnSize", {"resize {}"}, "step[0] is out of place: views have the size of the images"},
        BadSteps{"NegativePad", {"crop { pad: -1 }"}, "step[0]: crop.pad is -1; permitted are 0..64"},
        BadSteps{"ProbabilityAboveOne", {"flip { probability: 1.5 }"}, "flip.probability is 1.5; permitted are 0..1"},
        BadSteps{"ProbabilityNotANumber", {"flip { probability: nan }"}, "flip.probability is nan"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::data
