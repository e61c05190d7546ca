// What pairs of measurements say of the difference between two sides.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace retort::tools {

// Of differences d_1 .. d_n, one a pair, n >= 1.
struct PairedDifference {
  double mean = 0;
  // Sample standard deviation, n - 1 in the denominator; like all below, none for one pair.
  absl::optional<double> std;
  // mean -+ q std / sqrt(n), q the 97.5 % quantile of Student's t with n - 1 degrees of freedom.
  struct Interval {
    double low;
    double high;
  };
  absl::optional<Interval> interval;
  // Two-sided p-value of the paired t-test: of |t| >= |mean| sqrt(n) / std if the true mean difference were 0. None
  // where all differences are the same, which the test does not cover.
  absl::optional<double> p;
};

// Student's distribution takes the differences for draws of one normal distribution. InvalidArgument where there is
// none or one is not finite.
absl::StatusOr<PairedDifference> CompareInPairs(absl::Span<const double> differences);

// Two-sided p-value of McNemar's test in its exact form: of a split as uneven as `only_first` to `only_second` (images
// that one side alone gets right), if each of these images were as likely either way, min(1, 2 P[X <= min]),
// X ~ Binomial(only_first + only_second, 1/2). 1 where both are 0. Source: McNemar, Psychometrika 12 (1947); the exact
// form in Fagerland et al., BMC Medical Research Methodology 13:91 (2013), section "The McNemar exact conditional
// test".
double ExactMcNemar(int64_t only_first, int64_t only_second);

// P[|T| >= |t|], T of Student's distribution with `degrees` >= 1 degrees of freedom: the regularised incomplete beta
// function I_x(degrees / 2, 1 / 2) at x = degrees / (degrees + t^2).
double StudentTwoSided(double t, double degrees);

// q > 0 with StudentTwoSided(q, degrees) = p, 0 < p < 1.
double StudentQuantile(double p, double degrees);

}  // namespace retort::tools
