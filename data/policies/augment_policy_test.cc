#include "retort/data/policies/augment_policy.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/policies/augment_choice.h"
#include "retort/data/policies/auto_augment_pairs.h"

namespace retort::data {
namespace {

using ::nlohmann::json;
using ::testing::HasSubstr;

constexpr int kSide = 32;

config::AugmentStep Step(const std::string& text) {
  config::AugmentStep step;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &step)) << text;
  return step;
}

AugmentPolicy Policy(const std::string& text) { return AugmentPolicy::Create(Step(text)).value(); }

std::vector<AugmentChoice> DrawChain(const AugmentPolicy& policy, int64_t image, int64_t view = 0, uint64_t seed = 7) {
  return policy.Draw(seed, image, view, kSide, kSide).chains.at(0);
}

std::string Text(const AugmentPolicy::Drawn& drawn) {
  std::string text;
  for (const auto& chain : drawn.chains) {
    for (const AugmentChoice& choice : chain) absl::StrAppend(&text, Name(choice.op), " ", choice.argument, ",");
    absl::StrAppend(&text, ";");
  }
  for (const float weight : drawn.weights) absl::StrAppend(&text, weight, " ");
  return text;
}

const char* const kSteps[] = {
    "auto_augment {}",
    "auto_augment { policy: IMAGENET }",
    "auto_augment { policy: SVHN }",
    "rand_augment {}",
    "trivial_augment {}",
    "aug_mix {}",
    "color_jitter { hue { min: -0.1 max: "
    "0.1 } brightness { min: 0.6 max: 1.4 } saturation { min: 0 max: 2 } contrast { min: 1 max: 1 } }"};

// What torchvision makes of a magnitude before it calls the op.
double Argument(AugmentOp op, double magnitude) {
  switch (op) {
    case AugmentOp::kTranslateX:
    case AugmentOp::kTranslateY:
      return std::trunc(magnitude);
    case AugmentOp::kBrightness:
    case AugmentOp::kColor:
    case AugmentOp::kContrast:
    case AugmentOp::kSharpness:
      return 1 + magnitude;
    default:
      return magnitude;
  }
}

// See references/make_references.py.
json Reference() {
  std::ifstream file(std::getenv("REFERENCE"));
  return json::parse(file);
}

AugmentOp OpOf(const std::string& name) {
  for (int op = 0; op <= static_cast<int>(AugmentOp::kHue); ++op) {
    if (Name(static_cast<AugmentOp>(op)) == name) return static_cast<AugmentOp>(op);
  }
  ADD_FAILURE() << "no op has the name " << name;
  return AugmentOp::kIdentity;
}

TEST(AugmentChoiceTest, LevelsAreTorchvisionsBitByBit) {
  const std::map<std::string, AugmentSpace> spaces = {{"auto_augment", AugmentSpace::kStandard},
                                                      {"rand_augment", AugmentSpace::kStandard},
                                                      {"trivial_augment", AugmentSpace::kWide},
                                                      {"aug_mix", AugmentSpace::kMix}};
  const json reference = Reference();
  int compared = 0;
  for (const json& space : reference["spaces"]) {
    const int bins = space["bins"], height = space["size"][0], width = space["size"][1];
    for (const auto& [name, levels] : space["ops"].items()) {
      const AugmentOp op = OpOf(name);
      const bool is_signed = levels["signed"];
      for (int bin = 0; bin < bins; ++bin) {
        const double magnitude = levels["magnitudes"].is_null() ? 0.0 : levels["magnitudes"][bin].get<double>();
        for (const bool negative : {false, true}) {
          const AugmentChoice choice = AtLevel(op, spaces.at(space["space"]), bin, bins, negative, height, width);
          EXPECT_EQ(choice.op, op);
          EXPECT_EQ(choice.argument, Argument(op, negative && is_signed ? -magnitude : magnitude))
              << space["space"] << " " << name << ", level " << bin << " of " << bins;
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 5000);
}

TEST(AugmentPolicyTest, DrawsFromTorchvisionsOps) {
  const json reference = Reference();
  ASSERT_FALSE(reference["spaces"].empty());
  for (const json& space : reference["spaces"]) {
    const std::string kind = space["space"];
    if (kind == "auto_augment") continue;
    const bool few = kind == "aug_mix" && space["ops"].size() == 9;
    const AugmentPolicy policy = Policy(absl::StrCat(kind, few ? " { all_ops: false }" : " {}"));
    std::set<std::string> expected, drawn;
    for (const auto& [name, levels] : space["ops"].items()) expected.insert(name);
    for (int64_t image = 0; image < 300; ++image) {
      for (const AugmentChoice& choice : DrawChain(policy, image)) drawn.emplace(Name(choice.op));
    }
    EXPECT_EQ(drawn, expected) << kind;
  }
}

TEST(AutoAugmentPairsTest, AreTorchvisions) {
  const json policies = Reference()["policies"];
  EXPECT_EQ(policies.size(), static_cast<size_t>(config::AutoAugment::Policy_descriptor()->value_count()));
  for (const auto& [name, pairs] : policies.items()) {
    config::AutoAugment::Policy policy;
    ASSERT_TRUE(config::AutoAugment::Policy_Parse(name, &policy)) << name;
    ASSERT_EQ(PairsOf(policy).size(), pairs.size());
    for (size_t i = 0; i < pairs.size(); ++i) {
      for (size_t j = 0; j < 2; ++j) {
        const AutoAugmentOp& one = PairsOf(policy)[i][j];
        const json& expected = pairs[i][j];
        const std::string where = absl::StrCat(name, ", pair ", i);
        EXPECT_EQ(Name(one.op), expected[0].get<std::string>()) << where;
        EXPECT_EQ(one.probability, expected[1].get<double>()) << where;
        EXPECT_EQ(one.level, expected[2].is_null() ? 0 : expected[2].get<int>()) << where;
      }
    }
  }
}

TEST(AugmentPolicyTest, IsAFunctionOfSeedImageAndView) {
  for (const char* const text : kSteps) {
    const AugmentPolicy policy = Policy(text);
    std::vector<std::string> forward, backward;
    for (int64_t image = 0; image < 40; ++image) forward.push_back(Text(policy.Draw(7, image, 3, kSide, kSide)));
    const AugmentPolicy again = Policy(text);
    for (int64_t image = 39; image >= 0; --image) {
      backward.insert(backward.begin(), Text(again.Draw(7, image, 3, kSide, kSide)));
    }
    EXPECT_EQ(forward, backward) << text;
    int others = 0;
    for (int64_t image = 0; image < 40; ++image) {
      const std::string& one = forward[static_cast<size_t>(image)];
      others +=
          one != Text(policy.Draw(8, image, 3, kSide, kSide)) && one != Text(policy.Draw(7, image, 4, kSide, kSide));
    }
    EXPECT_GT(others, 20) << text;
  }
}

TEST(AugmentPolicyTest, KeepsToItsLongestChain) {
  for (const char* const text : kSteps) {
    const AugmentPolicy policy = Policy(text);
    size_t longest = 0;
    for (int64_t image = 0; image < 500; ++image) {
      const AugmentPolicy::Drawn drawn = policy.Draw(1, image, 0, kSide, kSide);
      EXPECT_EQ(static_cast<int>(drawn.chains.size()), policy.chains());
      for (const auto& chain : drawn.chains) {
        longest = std::max(longest, chain.size());
        for (const AugmentChoice& choice : chain) {
          EXPECT_NE(RecordOf(choice, kSide, kSide).kind, ops::AugmentKind::kInvalid)
              << Name(choice.op) << " " << choice.argument;
        }
      }
    }
    EXPECT_EQ(static_cast<int>(longest), policy.longest_chain()) << text;
  }
}

// How often each op is used by 50,000 images, against the sum of the table's probabilities.
TEST(AugmentPolicyTest, AutoAugmentUsesOpsAsOftenAsItsTableSays) {
  const AugmentPolicy policy = Policy("auto_augment {}");
  constexpr int kImages = 50000;
  std::map<AugmentOp, int> used;
  int ops = 0, negative = 0, translated = 0;
  for (int64_t image = 0; image < kImages; ++image) {
    for (const AugmentChoice& choice : DrawChain(policy, image)) {
      ++used[choice.op];
      ++ops;
      if (choice.op == AugmentOp::kTranslateY) {
        ++translated;
        negative += choice.argument < 0 ? 1 : 0;
      }
    }
  }
  // In units of 1/25 an image, added up by hand from the paper's table.
  const std::pair<AugmentOp, double> expected[] = {
      {AugmentOp::kInvert, 0.2},     {AugmentOp::kContrast, 0.8},     {AugmentOp::kRotate, 0.7},
      {AugmentOp::kTranslateX, 0.8}, {AugmentOp::kSharpness, 2.8},    {AugmentOp::kShearY, 0.7},
      {AugmentOp::kTranslateY, 3.4}, {AugmentOp::kAutocontrast, 5.0}, {AugmentOp::kEqualize, 4.7},
      {AugmentOp::kPosterize, 0.3},  {AugmentOp::kColor, 2.9},        {AugmentOp::kBrightness, 2.3},
      {AugmentOp::kSolarize, 1.9}};
  for (const auto& [op, weight] : expected) {
    const double mean = kImages * weight / 25;
    EXPECT_NEAR(used[op], mean, 4.5 * std::sqrt(mean)) << Name(op);
  }
  EXPECT_EQ(used.size(), std::size(expected));
  EXPECT_NEAR(ops, kImages * 26.5 / 25, 4.5 * std::sqrt(kImages));
  EXPECT_NEAR(negative, translated / 2, 4.5 * std::sqrt(translated / 4.0));
}

TEST(AugmentPolicyTest, RandAugmentDrawsOpsEquallyOften) {
  const AugmentPolicy policy = Policy("rand_augment { num_ops: 3 magnitude: 4 num_magnitude_bins: 10 }");
  std::map<AugmentOp, int> used;
  for (int64_t image = 0; image < 10000; ++image) {
    const auto chain = DrawChain(policy, image);
    ASSERT_EQ(chain.size(), 3u);
    for (const AugmentChoice& choice : chain) {
      ++used[choice.op];
      if (choice.op == AugmentOp::kShearX) {
        EXPECT_NEAR(std::abs(choice.argument), 0.13333334, 5e-10);
      }
    }
  }
  ASSERT_EQ(used.size(), 14u);
  double chi_square = 0;
  for (const auto& [op, count] : used) chi_square += std::pow(count - 30000.0 / 14, 2) / (30000.0 / 14);
  // 13 degrees of freedom: 34.5 is exceeded with probability 0.001.
  EXPECT_LT(chi_square, 34.5);
}

TEST(AugmentPolicyTest, TrivialAugmentDrawsEveryLevelEquallyOften) {
  const AugmentPolicy policy = Policy("trivial_augment {}");
  std::map<double, int> degrees;
  int rotations = 0;
  for (int64_t image = 0; image < 100000; ++image) {
    const auto chain = DrawChain(policy, image);
    ASSERT_EQ(chain.size(), 1u);
    if (chain[0].op == AugmentOp::kRotate) {
      ++degrees[std::abs(chain[0].argument)];
      ++rotations;
    }
  }
  ASSERT_EQ(degrees.size(), 31u);
  double chi_square = 0;
  for (const auto& [argument, count] : degrees)
    chi_square += std::pow(count - rotations / 31.0, 2) / (rotations / 31.0);
  // 30 degrees of freedom: 59.7 is exceeded with probability 0.001.
  EXPECT_LT(chi_square, 59.7);
}

TEST(AugmentPolicyTest, AMagnitudeCanBeFixed) {
  const AugmentPolicy automatic = Policy("auto_augment { magnitude: 3 }"),
                      trivial = Policy("trivial_augment { magnitude: 10 }"), mix = Policy("aug_mix { magnitude: 2 }");
  for (int64_t image = 0; image < 2000; ++image) {
    for (const AugmentChoice& choice : DrawChain(automatic, image)) {
      if (choice.op == AugmentOp::kTranslateY) {
        EXPECT_EQ(std::abs(choice.argument), 4);
      }
    }
    const AugmentChoice choice = DrawChain(trivial, image)[0];
    if (choice.op == AugmentOp::kRotate) {
      EXPECT_EQ(std::abs(choice.argument), 45);
    }
    for (const auto& chain : mix.Draw(1, image, 0, kSide, kSide).chains) {
      for (const AugmentChoice& one : chain) {
        if (one.op == AugmentOp::kTranslateX) {
          EXPECT_EQ(std::abs(one.argument), 2);
        }
      }
    }
  }
}

// Moments of Beta(a, a) and of a symmetric Dirichlet of 3: a part has mean 1/n and variance (n - 1) / n^2 / (n a + 1).
TEST(AugmentPolicyTest, AugMixWeighsByDirichlet) {
  for (const double alpha : {0.3, 1.0, 4.0}) {
    const AugmentPolicy policy = Policy(absl::StrCat("aug_mix { alpha: ", alpha, " }"));
    constexpr int kImages = 20000;
    double own = 0, own_square = 0, first = 0, first_square = 0;
    std::map<size_t, int> depths;
    for (int64_t image = 0; image < kImages; ++image) {
      const AugmentPolicy::Drawn drawn = policy.Draw(3, image, 0, kSide, kSide);
      ASSERT_EQ(drawn.weights.size(), 4u);
      double sum = 0;
      for (const float weight : drawn.weights) {
        EXPECT_GE(weight, 0);
        sum += static_cast<double>(weight);
      }
      EXPECT_NEAR(sum, 1, 1e-6);
      const double m = static_cast<double>(drawn.weights[0]);
      own += m;
      own_square += m * m;
      if (m < 0.99) {
        const double share = static_cast<double>(drawn.weights[1]) / (1 - m);
        first += share;
        first_square += share * share;
      } else {
        first += 1.0 / 3;
        first_square += 1.0 / 9 + 2.0 / 9 / (3 * alpha + 1);
      }
      for (const auto& chain : drawn.chains) ++depths[chain.size()];
    }
    EXPECT_NEAR(own / kImages, 0.5, 0.012) << alpha;
    EXPECT_NEAR(own_square / kImages - 0.25, 0.25 / (2 * alpha + 1), 0.008) << alpha;
    EXPECT_NEAR(first / kImages, 1.0 / 3, 0.012) << alpha;
    EXPECT_NEAR(first_square / kImages - 1.0 / 9, 2.0 / 9 / (3 * alpha + 1), 0.008) << alpha;
    ASSERT_EQ(depths.size(), 3u);
    for (const auto& [depth, count] : depths) EXPECT_NEAR(count, kImages, 4.5 * std::sqrt(kImages)) << depth;
  }
}

TEST(AugmentPolicyTest, AugMixKeepsToItsSeverityAndOps) {
  const AugmentPolicy policy = Policy("aug_mix { severity: 2 all_ops: false chain_depth: 4 mixture_width: 2 }");
  std::set<AugmentOp> ops;
  for (int64_t image = 0; image < 500; ++image) {
    const AugmentPolicy::Drawn drawn = policy.Draw(3, image, 0, kSide, kSide);
    ASSERT_EQ(drawn.weights.size(), 3u);
    for (const auto& chain : drawn.chains) {
      EXPECT_EQ(chain.size(), 4u);
      for (const AugmentChoice& choice : chain) {
        ops.insert(choice.op);
        if (choice.op == AugmentOp::kRotate) {
          EXPECT_LT(std::abs(choice.argument), 3.34);
        }
      }
    }
  }
  EXPECT_EQ(ops.size(), 9u);
  EXPECT_EQ(ops.count(AugmentOp::kColor), 0u);
}

TEST(AugmentPolicyTest, ColorJitterDrawsEveryOrderAndTheWholeInterval) {
  const AugmentPolicy policy = Policy(
      "color_jitter { brightness { min: 0.5 max: 1.5 } contrast { min: 0.7 max: 0.7 } hue { min: -0.1 max: 0.1 } }");
  std::map<std::string, int> orders;
  double least = 2, greatest = 0, sum = 0;
  for (int64_t image = 0; image < 6000; ++image) {
    std::string order;
    for (const AugmentChoice& choice : DrawChain(policy, image)) {
      absl::StrAppend(&order, Name(choice.op), " ");
      if (choice.op == AugmentOp::kContrast) {
        EXPECT_EQ(choice.argument, static_cast<double>(0.7f));
      }
      if (choice.op != AugmentOp::kBrightness) continue;
      least = std::min(least, choice.argument);
      greatest = std::max(greatest, choice.argument);
      sum += choice.argument;
    }
    ++orders[order];
  }
  EXPECT_EQ(orders.size(), 6u);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, 1000, 130) << order;
  EXPECT_LT(least, 0.51);
  EXPECT_GT(greatest, 1.49);
  EXPECT_NEAR(sum / 6000, 1, 0.02);
}

struct BadStep {
  std::string name;
  std::string step;
  std::string message;
};

class AugmentPolicyBadStepTest : public ::testing::TestWithParam<BadStep> {};

TEST_P(AugmentPolicyBadStepTest, IsRefused) {
  const absl::Status status = AugmentPolicy::Create(Step(GetParam().step)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Steps, AugmentPolicyBadStepTest,
    ::testing::Values(
        BadStep{"Crop", "crop {}", "not a policy; give auto_augment"},
        BadStep{"LevelTen", "auto_augment { magnitude: 10 }", "auto_augment.magnitude is 10; permitted are 0..9"},
        BadStep{"NoOps", "rand_augment { num_ops: 0 }", "rand_augment.num_ops is 0; permitted are 1..16"},
        BadStep{"LevelBeyondBins", "rand_augment { magnitude: 10 num_magnitude_bins: 10 }",
                "rand_augment.magnitude is 10; permitted are 0..9"},
        BadStep{"OneBin", "trivial_augment { num_magnitude_bins: 1 }",
                "num_magnitude_bins is 1; permitted are 2..1000"},
        BadStep{"Severity", "aug_mix { severity: 11 }", "aug_mix.severity is 11; permitted are 1..10"},
        BadStep{"AlphaNotANumber", "aug_mix { alpha: nan }", "aug_mix.alpha is nan"},
        BadStep{"Width", "aug_mix { mixture_width: 0 }", "aug_mix.mixture_width is 0"},
        BadStep{"Backwards", "color_jitter { hue { min: 0.1 max: -0.1 } }",
                "color_jitter.hue.max is -0.1; permitted are 0.1..0.5"},
        BadStep{"Negative", "color_jitter { saturation { min: -1 max: 1 } }", "color_jitter.saturation.min is -1"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::data
