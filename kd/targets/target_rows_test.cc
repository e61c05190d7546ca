#include "retort/kd/targets/target_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/tensor.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace retort::kd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

config::StoredTargets Parse(const std::string& text) {
  config::StoredTargets contents;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &contents)) << text;
  return contents;
}

// Different everywhere, exact in no short type, of both signs.
at::Tensor Values(at::IntArrayRef shape, double scale) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return ((at::arange(count, at::kDouble) * 2.3 + 0.7).sin() * scale).to(at::kFloat).reshape(shape);
}

Targets Everything() {
  Targets targets;
  targets.logits = Values({3, 5}, 12);
  targets.embedding = Values({3, 7}, 1e-3);
  targets.maps["a"] = Values({3, 2, 4}, 300);
  targets.gradients.maps["b"] = Values({3, 4, 4}, 1);
  targets.gradients.images = Values({3, 1, 2, 2}, 0.1);
  return targets;
}

constexpr char kEverything[] = "embedding: true map: 'a' gradient_map: 'b' input_gradient: true precision: ";

absl::StatusOr<Targets> ThereAndBack(const config::StoredTargets& contents, const Targets& targets) {
  const auto rows = Encode(contents, targets);
  if (!rows.ok()) return rows.status();
  return Decode(contents, RequestFor(contents), targets.logits.size(1),
                [&rows](const std::string& name) { return rows->at(name); });
}

struct PrecisionCase {
  const char* name;
  double absolute;    // largest error
  double relative;    // or over the value's size
  double of_the_row;  // or over the row's greatest less its least
};

class PrecisionTest : public ::testing::TestWithParam<PrecisionCase> {};

TEST_P(PrecisionTest, KeepsEveryTensorAsWellAsItsTypeCan) {
  Targets exact = Everything();
  auto stored = ThereAndBack(Parse(std::string(kEverything) + GetParam().name), exact);
  ASSERT_TRUE(stored.ok()) << stored.status();
  for (const char* name : {"logits", "embedding", "map.a", "gradient_map.b", "input_gradient"}) {
    const at::Tensor right = TargetOf(exact, name), got = TargetOf(*stored, name);
    ASSERT_EQ(got.scalar_type(), at::kFloat) << name;
    ASSERT_EQ(got.sizes(), right.sizes()) << name;
    for (int64_t row = 0; row < 3; ++row) {
      const at::Tensor values = right[row].flatten(), read = got[row].flatten();
      const double range = (values.max() - values.min()).item<double>();
      for (int64_t i = 0; i < values.numel(); ++i) {
        const double value = values[i].item<double>(), error = std::abs(read[i].item<double>() - value);
        EXPECT_LE(error,
                  std::max({GetParam().absolute, GetParam().relative * std::abs(value), GetParam().of_the_row * range}))
            << name;
      }
    }
  }
}

// Half a unit in the last of 11 or 8 bits, f16 having no less than 2^-24; half of one of 255 steps, and f32 rounding.
INSTANTIATE_TEST_SUITE_P(All, PrecisionTest,
                         ::testing::Values(PrecisionCase{"FP32", 0, 0, 0},
                                           PrecisionCase{"FP16", std::ldexp(1.0, -25), std::ldexp(1.0, -11), 0},
                                           PrecisionCase{"BF16", 0, std::ldexp(1.0, -8), 0},
                                           PrecisionCase{"INT8", 0, 0, 0.5001 / 255}),
                         [](const auto& instance) { return instance.param.name; });

TEST(TargetRowsTest, ConstantRowsSurviveInt8) {
  Targets targets;
  targets.logits = at::full({2, 3}, -1234.5f);
  const auto stored = ThereAndBack(Parse("precision: INT8"), targets);
  ASSERT_TRUE(stored.ok());
  EXPECT_TRUE(at::equal(stored->logits, targets.logits));
}

// In plain loops: the k greatest keep their probabilities, the others share the rest.
TEST(TargetRowsTest, TopKKeepsProbabilities) {
  Targets targets;
  targets.logits = Values({4, 6}, 3);
  for (const int64_t k : {1, 2, 5, 6}) {
    const auto stored = ThereAndBack(Parse("precision: FP32 top_k: " + std::to_string(k)), targets);
    ASSERT_TRUE(stored.ok()) << stored.status();
    ASSERT_EQ(stored->logits.sizes(), targets.logits.sizes());
    for (int64_t b = 0; b < 4; ++b) {
      double sum = 0;
      for (int64_t c = 0; c < 6; ++c) sum += std::exp(targets.logits[b][c].item<double>());
      double kept = 0;
      std::vector<bool> greatest(6);
      for (int64_t c = 0; c < 6; ++c) {
        int64_t above = 0;
        for (int64_t other = 0; other < 6; ++other) {
          above += targets.logits[b][other].item<float>() > targets.logits[b][c].item<float>() ? 1 : 0;
        }
        greatest[c] = above < k;
        if (greatest[c]) kept += std::exp(targets.logits[b][c].item<double>()) / sum;
      }
      for (int64_t c = 0; c < 6; ++c) {
        const double expected =
            greatest[c] ? std::exp(targets.logits[b][c].item<double>()) / sum : (1 - kept) / static_cast<double>(6 - k);
        EXPECT_NEAR(std::exp(stored->logits[b][c].item<double>()), expected, 1e-6) << "k " << k << " class " << c;
      }
    }
  }
}

TEST(TargetRowsTest, TopKIndicesAreAsWideAsTheClassesNeed) {
  for (const auto& [classes, type] :
       std::vector<std::pair<int64_t, at::ScalarType>>{{32767, at::kShort}, {32768, at::kInt}}) {
    Targets targets;
    targets.logits = Values({1, classes}, 1);
    targets.logits[0][classes - 1] = 9;
    const auto rows = Encode(Parse("top_k: 2"), targets);
    ASSERT_TRUE(rows.ok());
    EXPECT_EQ(rows->at("logits.index").scalar_type(), type);
    EXPECT_EQ(rows->at("logits.index")[0][0].item<int64_t>(), classes - 1);
  }
}

struct FaultCase {
  const char* name;
  const char* contents;
  void (*change)(Targets&);
  const char* message;
};

class EncodeFaultTest : public ::testing::TestWithParam<FaultCase> {};

TEST_P(EncodeFaultTest, IsRefusedByName) {
  Targets targets = Everything();
  GetParam().change(targets);
  const absl::Status status = Encode(Parse(GetParam().contents), targets).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, EncodeFaultTest,
    ::testing::Values(
        FaultCase{"NaN", "", [](Targets& changed) { changed.logits[1][2] = NAN; }, "logits holds NaN or infinity"},
        FaultCase{"Infinity", "embedding: true",
                  [](Targets& changed) { changed.embedding[0][0] = -std::numeric_limits<float>::infinity(); },
                  "embedding holds NaN"},
        FaultCase{"BeyondFp16", "map: 'a'", [](Targets& changed) { changed.maps["a"][0][0][0] = -70000; },
                  "map.a reaches 70000, beyond what FP16 holds (65504); store it as BF16 or FP32"},
        FaultCase{"Missing", "map: 'c'", [](Targets&) {}, "gave no f32 map.c"},
        FaultCase{"OfAnotherType", "", [](Targets& changed) { changed.logits = changed.logits.to(at::kDouble); },
                  "gave no f32 logits"},
        FaultCase{"TooManyOfTop", "top_k: 6", [](Targets&) {}, "top_k is 6, but the teacher has 5 classes"}),
    [](const auto& instance) { return instance.param.name; });

TEST(TargetRowsTest, AsksForWhatItStores) {
  const TargetRequest all = RequestFor(Parse(std::string(kEverything) + "FP32"));
  EXPECT_THAT(TargetNames(all), ElementsAre("logits", "embedding", "map.a", "gradient_map.b", "input_gradient"));
  EXPECT_TRUE(all.taps.empty());
  EXPECT_THAT(TargetNames(RequestFor(Parse("logits: false map: 'x'"))), ElementsAre("map.x"));
}

TEST(TargetRowsTest, NamesWhatIsMissing) {
  const config::StoredTargets contents = Parse("logits: false map: 'a'");
  TargetRequest request;
  request.maps = {"a"};
  EXPECT_TRUE(CheckContents(contents, request).ok());
  request = RequestFor(Parse(std::string(kEverything) + "FP32"));
  request.maps = {"a", "z"};
  EXPECT_EQ(CheckContents(contents, request),
            absl::InvalidArgumentError(
                "the objective reads what the target cache does not store; add there: logits: true, embedding: true, "
                "map: \"z\", gradient_map: \"b\", input_gradient: true"));
  request = {};
  request.taps = {"conv"};
  EXPECT_THAT(CheckContents(contents, request).message(), HasSubstr("the teacher's tap conv; run the teacher itself"));
}

}  // namespace
}  // namespace retort::kd
