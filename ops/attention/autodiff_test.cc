// Gradients against Halide's automatic differentiation: the maps of activation_map.h, and attention_transfer.h's loss
// of them, stated forward in float64.
#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>

#include "Halide.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "retort/ops/attention/activation_map.h"
#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/attention/attention_transfer.h"

namespace retort::ops {
namespace {

using ::Halide::Buffer;
using ::Halide::cast;
using ::Halide::Expr;
using ::Halide::Func;
using ::Halide::RDom;
using ::Halide::Var;

constexpr int kBatch = 2, kChannels = 3, kHeight = 4, kWidth = 5;
// By kind.
constexpr const char* kNames[] = {"MeanAbsolute", "MeanSquare", "MeanFourth", "Maximum"};

// Kind, and whether maps are normalised.
class AttentionAutodiffTest : public ::testing::TestWithParam<std::tuple<ActivationKind, bool>> {
 protected:
  AttentionAutodiffTest() {
    std::mt19937 random(41);
    std::normal_distribution<float> number;
    features_.for_each_value([&](float& value) { value = number(random); });
    weight_.for_each_value([&](float& value) { value = number(random); });
    f_(x, y, c, b) = cast<double>(features_(x, y, c, b));
    w_(x, y, b) = cast<double>(weight_(x, y, b));
    gradient_.fill(-12345.0f);

    const RDom place(0, kWidth, 0, kHeight);
    Func map, length;
    map(x, y, b) = OfChannels();
    length(b) = sqrt(sum(map(place.x, place.y, b) * map(place.x, place.y, b)));
    q_(x, y, b) = parameters_.normalize ? map(x, y, b) / max(length(b), Expr(1e-12)) : map(x, y, b);
  }

  // One number of a place's channels.
  Expr OfChannels() const {
    const RDom k(0, kChannels);
    const Expr f = f_(x, y, k, b), channels = Expr(double{kChannels});
    switch (parameters_.kind) {
      case ActivationKind::kMeanAbsolute:
        return sum(abs(f)) / channels;
      case ActivationKind::kMeanSquare:
        return sum(f * f) / channels;
      case ActivationKind::kMeanFourth:
        return sum(f * f * f * f) / channels;
      case ActivationKind::kMaximum:
        break;
    }
    Expr greatest = abs(f_(x, y, 0, b));
    for (int i = 1; i < kChannels; ++i) greatest = max(greatest, abs(f_(x, y, i, b)));
    return greatest;
  }

  // The gradient that `status`'s call has written is that of the sum of `terms` [B,H,W]. float64 is exact beside the
  // op's f32, which activation_map.h promises within 1e-5 of the largest element.
  void ExpectGradientOf(const Func& terms, const absl::Status& status) {
    ASSERT_EQ(status, absl::OkStatus());
    const RDom r(0, kWidth, 0, kHeight, 0, kBatch);
    Func total;
    total() = sum(terms(r.x, r.y, r.z));
    const Func adjoint = propagate_adjoints(total)(f_);
    for (auto& [name, function] : Halide::Internal::find_transitive_calls(adjoint.function())) {
      Func(function).compute_root();
    }
    Func result;
    result(x, y, c, b) = adjoint(x, y, c, b);
    const Buffer<double> expected = result.realize({kWidth, kHeight, kChannels, kBatch});
    double most = 0;
    expected.for_each_value([&](double value) { most = std::max(most, std::abs(value)); });
    EXPECT_GT(most, 1e-3) << "too small to be compared";
    expected.for_each_element([&](const int* at) {
      EXPECT_NEAR(gradient_(at), expected(at), 1e-5 * most)
          << "at x " << at[0] << ", y " << at[1] << ", channel " << at[2] << " of sample " << at[3];
    });
  }

  const ActivationMapParameters parameters_ = {std::get<0>(GetParam()), std::get<1>(GetParam())};
  Buffer<float> features_ = Buffer<float>(kWidth, kHeight, kChannels, kBatch),
                gradient_ = Buffer<float>(kWidth, kHeight, kChannels, kBatch),
                weight_ = Buffer<float>(kWidth, kHeight, kBatch), rows_ = Buffer<float>(kBatch),
                loss_ = Buffer<float>(1);
  Var x, y, c, b;
  Func f_, w_, q_;
};

TEST_P(AttentionAutodiffTest, ActivationMap) {
  Func weighted;
  weighted(x, y, b) = w_(x, y, b) * q_(x, y, b);
  ExpectGradientOf(weighted, ActivationMapBackward(features_.raw_buffer(), weight_.raw_buffer(), parameters_,
                                                   gradient_.raw_buffer()));
}

TEST_P(AttentionAutodiffTest, AttentionTransfer) {
  Func square;
  square(x, y, b) = (q_(x, y, b) - w_(x, y, b)) * (q_(x, y, b) - w_(x, y, b)) / Expr(double{kBatch * kHeight * kWidth});
  ExpectGradientOf(square, AttentionTransfer(features_.raw_buffer(), weight_.raw_buffer(), parameters_,
                                             {gradient_.raw_buffer(), rows_.raw_buffer(), loss_.raw_buffer()}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, AttentionAutodiffTest,
                         ::testing::Combine(::testing::Values(ActivationKind::kMeanAbsolute,
                                                              ActivationKind::kMeanSquare, ActivationKind::kMeanFourth,
                                                              ActivationKind::kMaximum),
                                            ::testing::Bool()),
                         [](const auto& instance) {
                           return absl::StrCat(kNames[static_cast<int>(std::get<0>(instance.param))],
                                               std::get<1>(instance.param) ? "Normalized" : "AsItIs");
                         });

}  // namespace
}  // namespace retort::ops
