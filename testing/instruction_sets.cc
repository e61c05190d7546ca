#include "retort/testing/instruction_sets.h"

#include <cstdint>
#include <iostream>

namespace retort::testing {
namespace {

std::vector<halide_target_feature_t> denied;
int variants_refused = 0;

int CanUse(int count, const uint64_t* features) {
  for (const halide_target_feature_t feature : denied) {
    if ((features[feature / 64] >> (feature % 64) & 1) != 0) {
      ++variants_refused;
      return 0;
    }
  }
  return halide_default_can_use_target_features(count, features);
}

}  // namespace

std::vector<InstructionSet> InstructionSets() {
  return {{"Best", {}, 0},
          {"Avx2AndBelow", {halide_target_feature_avx512_skylake}, 1},
          {"Sse41", {halide_target_feature_avx512_skylake, halide_target_feature_avx2}, 2}};
}

int WrongOn(const InstructionSet& instruction_set, int functions, const std::function<int()>& wrong_problems) {
  denied = instruction_set.denied;
  halide_set_custom_can_use_target_features(&CanUse);
  const int wrong = wrong_problems();
  if (variants_refused == functions * instruction_set.refused) return wrong;
  std::cerr << variants_refused << " variants were refused, not " << functions * instruction_set.refused << std::endl;
  return wrong + 1;
}

}  // namespace retort::testing
