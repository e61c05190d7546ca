// Philox 4x32-10: random numbers as a pure function of a key and a counter.
//
// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. There is
// no state: whoever knows what a number is for can draw it, in any order and on any thread.
//
//   PhiloxBits bits = Philox(seed, image, view, kStepTag);
//   int64_t offset = UniformInt(bits[0], 9);   // 0..8
//   bool heads = UniformDouble(bits[1]) < 0.5;
#pragma once

#include <array>
#include <cstdint>

namespace retort::data {

// The generator itself: ten rounds that encrypt a 128-bit counter under a 64-bit key, words in the paper's order.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Two independent uniform words. Counter words: a (low half first), b, c; key words: seed (low half first). The first
// word is made of the output's words 0 (low) and 1, the second of 2 (low) and 3. Calls that differ in any argument are
// independent.
using PhiloxBits = std::array<uint64_t, 2>;
PhiloxBits Philox(uint64_t seed, uint64_t a, uint32_t b, uint32_t c);

// floor(bits * n / 2^64), in [0, n); n > 0. For uniform bits each value's probability differs from 1/n by less than
// 2^-64.
uint64_t UniformInt(uint64_t bits, uint64_t n);

// In [0, 1): the upper 53 bits as a multiple of 2^-53.
double UniformDouble(uint64_t bits);

}  // namespace retort::data
