#include "retort/testing/fuzz/seeds.h"

#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace retort::testing {

void KeepFuzzSeeds(const std::vector<std::string>& inputs) {
  const char* folder = std::getenv("RETORT_FUZZ_SEEDS");
  if (folder == nullptr) return;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::ofstream file(absl::StrCat(folder, "/seed_", i), std::ios::binary);
    file.write(inputs[i].data(), static_cast<std::streamsize>(inputs[i].size()));
    EXPECT_TRUE(file.good()) << folder;
  }
}

}  // namespace retort::testing
