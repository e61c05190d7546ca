#include "retort/tools/compare/comparison.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

#include "retort/tools/compare/paired_statistics.h"

namespace retort::tools {
namespace {

double Accuracy(const Comparison& comparison, const SeedPair& pair, int side) {
  return static_cast<double>(pair.right[side]) / static_cast<double>(comparison.images);
}

// Of whole images, so that equal differences are equal numbers.
double Difference(const Comparison& comparison, const SeedPair& pair) {
  return static_cast<double>(pair.right[1] - pair.right[0]) / static_cast<double>(comparison.images);
}

PairedDifference Differences(const Comparison& comparison) {
  std::vector<double> differences;
  for (const SeedPair& pair : comparison.pairs) differences.push_back(Difference(comparison, pair));
  return CompareInPairs(differences).value();
}

std::string Points(double share) { return absl::StrFormat("%+.2f", 100 * share); }

}  // namespace

std::string ComparisonTable(const Comparison& comparison) {
  const std::string& first = comparison.runs[0];
  const std::string& second = comparison.runs[1];
  const int width[] = {static_cast<int>(std::max<size_t>(first.size(), 8)),
                       static_cast<int>(std::max<size_t>(second.size(), 8))};
  std::string text =
      absl::StrCat("accuracy on ", comparison.images, " test images, \"", second, "\" less \"", first, "\"\n\n");
  absl::StrAppendFormat(&text, "%6s  %*s  %*s  %10s  %*s  %*s  %9s\n", "seed", width[0], first, width[1], second,
                        "difference", width[0] + 6, absl::StrCat("only ", first), width[1] + 6,
                        absl::StrCat("only ", second), "McNemar p");
  for (const SeedPair& pair : comparison.pairs) {
    absl::StrAppendFormat(&text, "%6d  %*.2f %%  %*.2f %%  %10s  %*d  %*d  %9.3g\n", pair.seed, width[0] - 2,
                          100 * Accuracy(comparison, pair, 0), width[1] - 2, 100 * Accuracy(comparison, pair, 1),
                          Points(Difference(comparison, pair)), width[0] + 6, pair.alone[0], width[1] + 6,
                          pair.alone[1], ExactMcNemar(pair.alone[0], pair.alone[1]));
  }
  const PairedDifference result = Differences(comparison);
  if (!result.interval.has_value()) {
    absl::StrAppend(&text, "\ndifference ", Points(result.mean),
                    " points; one pair has no interval and no t-test, for those train more replicates\n");
    return text;
  }
  absl::StrAppend(&text, "\nmean difference of ", comparison.pairs.size(), " pairs ", Points(result.mean),
                  " points, 95 % interval [", Points(result.interval->low), ", ", Points(result.interval->high), "], ");
  absl::StrAppend(&text, result.p.has_value() ? absl::StrFormat("paired t-test p = %.3g\n", *result.p)
                                              : "no t-test: all differences are the same\n");
  return text;
}

std::string ComparisonJson(const Comparison& comparison) {
  const PairedDifference result = Differences(comparison);
  nlohmann::ordered_json difference = {{"mean", result.mean}, {"std", nullptr}, {"interval", nullptr}, {"p", nullptr}};
  if (result.std.has_value()) difference["std"] = *result.std;
  if (result.interval.has_value()) difference["interval"] = {result.interval->low, result.interval->high};
  if (result.p.has_value()) difference["p"] = *result.p;
  nlohmann::ordered_json pairs = nlohmann::ordered_json::array();
  for (const SeedPair& pair : comparison.pairs) {
    pairs.push_back({{"seed", pair.seed},
                     {"accuracy", {Accuracy(comparison, pair, 0), Accuracy(comparison, pair, 1)}},
                     {"difference", Difference(comparison, pair)},
                     {"right_alone", {pair.alone[0], pair.alone[1]}},
                     {"mcnemar_p", ExactMcNemar(pair.alone[0], pair.alone[1])}});
  }
  const nlohmann::ordered_json json = {{"schema_version", 1},
                                       {"runs", {comparison.runs[0], comparison.runs[1]}},
                                       {"images", comparison.images},
                                       {"difference", difference},
                                       {"pairs", pairs}};
  return json.dump(1) + "\n";
}

}  // namespace retort::tools
