#include "retort/data/philox.h"

namespace retort::data {
namespace {

constexpr int kRounds = 10;
// Multipliers and the key's Weyl increments, from the paper.
constexpr uint64_t kMultiplier0 = 0xD2511F53;
constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;

uint32_t Low(uint64_t word) { return static_cast<uint32_t>(word); }
uint32_t High(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
uint64_t Join(uint32_t low, uint32_t high) { return static_cast<uint64_t>(high) << 32 | low; }

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {High(product1) ^ counter[1] ^ key[0], Low(product1), High(product0) ^ counter[3] ^ key[1],
               Low(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

PhiloxBits Philox(uint64_t seed, uint64_t a, uint32_t b, uint32_t c) {
  const std::array<uint32_t, 4> words = Philox4x32({Low(a), High(a), b, c}, {Low(seed), High(seed)});
  return {Join(words[0], words[1]), Join(words[2], words[3])};
}

uint64_t UniformInt(uint64_t bits, uint64_t n) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * n) >> 64);
}

double UniformDouble(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace retort::data
