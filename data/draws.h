// Random numbers of one step of one view, one after another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "retort/data/philox.h"

namespace retort::data {

// Words are those of Philox 4x32-10 with key = seed and counter = (image, view, tag + 256 n), n = 0, 1, ...; tag < 255
// is the step's field number in AugmentStep; 255 draws partners.
class Draws {
 public:
  Draws(uint64_t seed, int64_t image, int64_t view, uint32_t tag)
      : seed_(seed), image_(static_cast<uint64_t>(image)), view_(static_cast<uint32_t>(view)), tag_(tag) {}

  uint64_t Bits();
  // In 0..n-1.
  int Index(size_t n) { return static_cast<int>(UniformInt(Bits(), n)); }
  bool Coin() { return Index(2) == 1; }
  // In [0, 1).
  double Uniform() { return UniformDouble(Bits()); }
  // Standard normal: Box and Muller.
  double Normal();
  // Gamma of shape `alpha` > 0 and scale 1: Marsaglia & Tsang 2000.
  double Gamma(double alpha);
  // Symmetric Dirichlet of `n` parts; the first of two is Beta(alpha, alpha). Where alpha is so small that all vanish,
  // one of them is 1.
  std::vector<double> Dirichlet(double alpha, int n);

 private:
  uint64_t seed_, image_;
  uint32_t view_, tag_;
  PhiloxBits words_ = {};
  size_t next_ = 2;
};

}  // namespace retort::data
