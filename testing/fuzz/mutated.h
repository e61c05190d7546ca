// Faults at random, for tests of readers.
#pragma once

#include <cstddef>
#include <random>
#include <string>

namespace retort::testing {

// `bytes` with one to four faults: flipped bits, other bytes, cuts, and pieces of `other`, which must not be empty. Two
// of three are within the first `head` bytes.
std::string Mutated(std::string bytes, const std::string& other, size_t head, std::mt19937& random);

}  // namespace retort::testing
