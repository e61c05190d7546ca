// Rounding to 16-bit floating point by search among all its numbers.
#pragma once

#include <cstdint>

namespace retort::ops {

// Bits of the f16 (5 bits of exponent) or bf16 (8 bits) nearest to a finite `value`; of two as near, the one whose last
// bit is 0.
uint16_t NearestFloat16(float value);
uint16_t NearestBFloat16(float value);

// The number that bits stand for.
float FromFloat16(uint16_t bits);
float FromBFloat16(uint16_t bits);

}  // namespace retort::ops
