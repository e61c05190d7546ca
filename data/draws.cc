#include "retort/data/draws.h"

#include <cmath>

namespace retort::data {

uint64_t Draws::Bits() {
  if (next_ == words_.size()) {
    words_ = Philox(seed_, image_, view_, tag_);
    tag_ += 256;
    next_ = 0;
  }
  return words_[next_++];
}

double Draws::Normal() {
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  return radius * std::cos(2 * 3.14159265358979323846 * Uniform());
}

double Draws::Gamma(double alpha) {
  if (alpha < 1) {
    const double greater = Gamma(alpha + 1);
    return greater * std::pow(1 - Uniform(), 1 / alpha);
  }
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = Normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - Uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

std::vector<double> Draws::Dirichlet(double alpha, int n) {
  std::vector<double> parts;
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += parts.emplace_back(Gamma(alpha));
  if (sum > 0) {
    for (double& part : parts) part /= sum;
  } else {
    parts[static_cast<size_t>(Index(parts.size()))] = 1;
  }
  return parts;
}

}  // namespace retort::data
