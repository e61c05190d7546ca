#include "retort/tools/compare/paired_statistics.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace retort::tools {
namespace {

// The continued fraction of I_x(a, b), by Lentz's method; converges fast where x < (a + 1) / (a + b + 2).
// Source: NIST Digital Library of Mathematical Functions, 8.17.22.
double BetaFraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  const auto not_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double numerator = 1;
  double denominator = 1 / not_zero(1 - (a + b) * x / (a + 1));
  double fraction = denominator;
  for (int m = 1; m < 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    denominator = 1 / not_zero(1 + even * denominator);
    numerator = not_zero(1 + even / numerator);
    fraction *= numerator * denominator;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    denominator = 1 / not_zero(1 + odd * denominator);
    numerator = not_zero(1 + odd / numerator);
    fraction *= numerator * denominator;
    if (std::abs(numerator * denominator - 1) < 1e-15) break;
  }
  return fraction;
}

// I_x(a, b), with y = 1 - x, which keeps its digits where x is near 1.
double IncompleteBeta(double x, double y, double a, double b) {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - IncompleteBeta(y, x, b, a);
  const double log_front =
      std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log(y) - std::log(a);
  return std::exp(log_front) * BetaFraction(x, a, b);
}

}  // namespace

double StudentTwoSided(double t, double degrees) {
  if (std::isinf(t)) return 0;
  const double sum = degrees + t * t;
  return IncompleteBeta(degrees / sum, t * t / sum, degrees / 2, 0.5);
}

double StudentQuantile(double p, double degrees) {
  double low = 0, high = 1;
  while (StudentTwoSided(high, degrees) > p) high *= 2;
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (StudentTwoSided(middle, degrees) > p ? low : high) = middle;
  }
}

absl::StatusOr<PairedDifference> CompareInPairs(absl::Span<const double> differences) {
  if (differences.empty()) return absl::InvalidArgumentError("there is no pair to compare");
  const auto n = static_cast<double>(differences.size());
  PairedDifference result;
  for (const double difference : differences) {
    if (!std::isfinite(difference)) {
      return absl::InvalidArgumentError(absl::StrCat("a difference is ", difference, "; it must be a finite number"));
    }
    result.mean += difference / n;
  }
  if (differences.size() == 1) return result;
  const auto [least, greatest] = std::minmax_element(differences.begin(), differences.end());
  if (*least == *greatest) {
    result.mean = *least;
    result.std = 0;
    result.interval = {*least, *least};
    return result;
  }
  double squares = 0;
  for (const double difference : differences) squares += (difference - result.mean) * (difference - result.mean);
  result.std = std::sqrt(squares / (n - 1));
  const double error = *result.std / std::sqrt(n);
  const double half = StudentQuantile(0.05, n - 1) * error;
  result.interval = {result.mean - half, result.mean + half};
  result.p = StudentTwoSided(result.mean / error, n - 1);
  return result;
}

double ExactMcNemar(int64_t only_first, int64_t only_second) {
  const auto n = static_cast<double>(only_first + only_second);
  const int64_t fewer = std::min(only_first, only_second);
  double tail = 0;
  for (int64_t i = 0; i <= fewer; ++i) {
    const auto k = static_cast<double>(i);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) - n * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

}  // namespace retort::tools
