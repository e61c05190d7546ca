#include "retort/ops/losses/softmax_loss_oracle.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace retort::ops {
namespace {

// sum p (log p - log q), where p = 0 counts as 0.
double Kl(const std::vector<double>& log_p, const std::vector<double>& log_q) {
  double sum = 0;
  for (size_t c = 0; c < log_p.size(); ++c) {
    if (const double p = std::exp(log_p[c]); p > 0) sum += p * (log_p[c] - log_q[c]);
  }
  return sum;
}

std::vector<double> Without(std::vector<double> z, int64_t label) {
  z.erase(z.begin() + label);
  return z;
}

// log p of the label, and of all others together.
std::vector<double> LabelAndRest(const std::vector<double>& z, int64_t label, double temperature) {
  const std::vector<double> log_p = LogSoftmaxOracle(z, temperature);
  double rest = 0;
  for (const double other : Without(log_p, label)) rest += std::exp(other);
  return {log_p[static_cast<size_t>(label)], std::log(rest)};
}

}  // namespace

std::vector<double> LogSoftmaxOracle(const std::vector<double>& z, double temperature) {
  const double greatest = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const double value : z) sum += std::exp((value - greatest) / temperature);
  std::vector<double> log_p;
  for (const double value : z) log_p.push_back((value - greatest) / temperature - std::log(sum));
  return log_p;
}

double CrossEntropyOracle(const std::vector<double>& logits, int64_t label, double smoothing) {
  std::vector<double> targets(logits.size(), smoothing / static_cast<double>(logits.size()));
  targets[static_cast<size_t>(label)] += 1 - smoothing;
  return SoftCrossEntropyOracle(logits, targets);
}

double SoftCrossEntropyOracle(const std::vector<double>& logits, const std::vector<double>& targets) {
  const std::vector<double> log_p = LogSoftmaxOracle(logits, 1);
  double sum = 0;
  for (size_t c = 0; c < logits.size(); ++c) {
    if (targets[c] != 0) sum -= targets[c] * log_p[c];
  }
  return sum;
}

double DistillKlOracle(const std::vector<double>& logits, const std::vector<double>& teacher, double temperature) {
  return temperature * temperature * Kl(LogSoftmaxOracle(teacher, temperature), LogSoftmaxOracle(logits, temperature));
}

std::vector<double> UnpackOracle(int64_t classes, const std::vector<double>& values,
                                 const std::vector<int32_t>& indices, double log_sum_exp) {
  double left = 1;
  for (const double value : values) left -= std::exp(value - log_sum_exp);
  const double others = static_cast<double>(classes) - static_cast<double>(values.size());
  std::vector<double> z(static_cast<size_t>(classes), left > 0 && others > 0
                                                          ? log_sum_exp + std::log(left / others)
                                                          : -std::numeric_limits<double>::infinity());
  for (size_t j = 0; j < values.size(); ++j) z[static_cast<size_t>(indices[j])] = values[j];
  return z;
}

double TargetClassOracle(const std::vector<double>& logits, const std::vector<double>& teacher, int64_t label,
                         double temperature) {
  return temperature * temperature *
         Kl(LabelAndRest(teacher, label, temperature), LabelAndRest(logits, label, temperature));
}

double OtherClassesOracle(const std::vector<double>& logits, const std::vector<double>& teacher, int64_t label,
                          double temperature) {
  return DistillKlOracle(Without(logits, label), Without(teacher, label), temperature);
}

}  // namespace retort::ops
