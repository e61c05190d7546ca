// Where a fuzz target's test starts, libFuzzer starts, too.
#pragma once

#include <string>
#include <vector>

namespace retort::testing {

// Writes each input to a file of the folder that RETORT_FUZZ_SEEDS names, for testing/fuzz/run; nothing without it.
void KeepFuzzSeeds(const std::vector<std::string>& inputs);

}  // namespace retort::testing
