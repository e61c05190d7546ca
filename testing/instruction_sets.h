// An op as on processors with fewer instructions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "HalideRuntime.h"

namespace retort::testing {

struct InstructionSet {
  std::string name;
  std::vector<halide_target_feature_t> denied;
  // Of a function's variants for AVX-512, AVX2 and SSE4.1; the last one is taken unasked.
  int refused;
};

// "Best", "Avx2AndBelow" and "Sse41".
std::vector<InstructionSet> InstructionSets();

// What `wrong_problems` counts where ops believe the denied instructions absent, and one more unless each of so many
// functions had its variants refused. A process can find out once only: a function chooses its variant when it is first
// called.
int WrongOn(const InstructionSet& instruction_set, int functions, const std::function<int()>& wrong_problems);

}  // namespace retort::testing
