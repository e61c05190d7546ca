#include "retort/ops/batch_assembly/float16_oracle.h"

#include <cmath>

namespace retort::ops {
namespace {

// Sign, then `exponent_bits`, then the fraction, as IEEE 754 has them. Infinity is given as the number that would come
// after the largest one, so that it is the nearest of what overflows.
double Decode(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> fraction_bits, fraction = bits & ((1 << fraction_bits) - 1);
  const double magnitude = exponent == 0 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                                         : std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

// Magnitudes grow with their bits, up to infinity's.
uint16_t Nearest(float value, int exponent_bits) {
  const uint16_t infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << (15 - exponent_bits));
  const double magnitude = std::fabs(static_cast<double>(value));
  uint16_t below = 0, above = infinity;
  while (above - below > 1) {
    const auto middle = static_cast<uint16_t>((below + above) / 2);
    (Decode(middle, exponent_bits) <= magnitude ? below : above) = middle;
  }
  const double down = magnitude - Decode(below, exponent_bits), up = Decode(above, exponent_bits) - magnitude;
  const uint16_t nearest = down < up || (down == up && below % 2 == 0) ? below : above;
  return static_cast<uint16_t>(nearest | (std::signbit(value) ? 0x8000 : 0));
}

}  // namespace

uint16_t NearestFloat16(float value) { return Nearest(value, 5); }
uint16_t NearestBFloat16(float value) { return Nearest(value, 8); }
float FromFloat16(uint16_t bits) { return static_cast<float>(Decode(bits, 5)); }
float FromBFloat16(uint16_t bits) { return static_cast<float>(Decode(bits, 8)); }

}  // namespace retort::ops
