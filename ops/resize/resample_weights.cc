#include "retort/ops/resize/resample_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace retort::ops {
namespace {

constexpr double kPi = 3.14159265358979323846;

double Sinc(double x) { return x == 0 ? 1 : std::sin(x * kPi) / (x * kPi); }

struct Box {
  static constexpr double kSupport = 0.5;
  static double At(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }
};

struct Bilinear {
  static constexpr double kSupport = 1;
  static double At(double x) { return std::max(1 - std::abs(x), 0.0); }
};

struct Bicubic {
  static constexpr double kSupport = 2;
  static double At(double x) {
    x = std::abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  }
};

struct Lanczos {
  static constexpr double kSupport = 3;
  static double At(double x) { return x >= -3 && x < 3 ? Sinc(x) * Sinc(x / 3) : 0; }
};

int32_t ToFixedPoint(double weight) {
  return static_cast<int32_t>(weight * (1 << kResampleBits) + (weight < 0 ? -0.5 : 0.5));
}

// Where in the tables the i-th pixel of the window is.
int Place(const ResampleWindow& window, int i) { return window.mirror ? window.count - 1 - i : i; }

ResampleWeights Nearest(int in, int out, const ResampleWindow& window) {
  ResampleWeights weights;
  weights.taps = 1;
  weights.first.resize(static_cast<size_t>(window.count));
  weights.weight.assign(static_cast<size_t>(window.count), 1 << kResampleBits);
  // Pillow adds up steps; their rounding decides which of two pixels at the same distance counts.
  const double step = static_cast<double>(in) / out;
  double centre = step * 0.5;
  for (int i = -window.begin; i < window.count; ++i, centre += step) {
    if (i >= 0) weights.first[static_cast<size_t>(Place(window, i))] = std::min(static_cast<int>(centre), in - 1);
  }
  return weights;
}

template <typename Kernel>
ResampleWeights Convolution(int in, int out, const ResampleWindow& window) {
  const double step = static_cast<double>(in) / out;
  const double stretch = std::max(step, 1.0);
  const double inverse_stretch = 1 / stretch;
  const double support = Kernel::kSupport * stretch;
  const int most = std::min(static_cast<int>(std::ceil(support)) * 2 + 1, in);

  // Rows as long as any may be; afterwards all are cut to the longest, without the zeros at their ends.
  std::vector<int32_t> wide(static_cast<size_t>(window.count) * static_cast<size_t>(most));
  std::vector<double> row(static_cast<size_t>(most));
  ResampleWeights weights;
  weights.first.resize(static_cast<size_t>(window.count));
  for (int i = 0; i < window.count; ++i) {
    const double centre = (window.begin + i + 0.5) * step;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int count = std::min(static_cast<int>(centre + support + 0.5), in) - first;
    double sum = 0;
    for (int t = 0; t < count; ++t) {
      row[static_cast<size_t>(t)] = Kernel::At((t + first - centre + 0.5) * inverse_stretch);
      sum += row[static_cast<size_t>(t)];
    }
    const size_t place = static_cast<size_t>(Place(window, i));
    int32_t* fixed = &wide[place * static_cast<size_t>(most)];
    int used = 0, zeros = 0;
    for (int t = 0; t < count; ++t) {
      const int32_t weight = sum == 0 ? 0 : ToFixedPoint(row[static_cast<size_t>(t)] / sum);
      if (used == 0 && weight == 0) {
        ++zeros;
      } else {
        fixed[used++] = weight;
      }
    }
    while (used > 1 && fixed[used - 1] == 0) --used;
    weights.first[place] = first + zeros;
    weights.taps = std::max(weights.taps, used);
  }

  weights.weight.resize(static_cast<size_t>(window.count) * static_cast<size_t>(weights.taps));
  for (size_t place = 0; place < weights.first.size(); ++place) {
    // A row that would reach beyond the source with its zeros begins earlier, with zeros.
    const int excess = std::max(weights.first[place] + weights.taps - in, 0);
    weights.first[place] -= excess;
    const int32_t* fixed = &wide[place * static_cast<size_t>(most)];
    std::copy(fixed, fixed + weights.taps - excess,
              &weights.weight[place * static_cast<size_t>(weights.taps)] + excess);
  }
  return weights;
}

}  // namespace

ResampleWeights MakeResampleWeights(Filter filter, int in, int out, const ResampleWindow& window) {
  switch (filter) {
    case Filter::kNearest:
      return Nearest(in, out, window);
    case Filter::kBox:
      return Convolution<Box>(in, out, window);
    case Filter::kBilinear:
      return Convolution<Bilinear>(in, out, window);
    case Filter::kBicubic:
      return Convolution<Bicubic>(in, out, window);
    case Filter::kLanczos:
      return Convolution<Lanczos>(in, out, window);
  }
  return {};
}

}  // namespace retort::ops
