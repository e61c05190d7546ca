// Files with faults at random: none may do more than be refused. Worth most with --config=asan and --config=ubsan.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "retort/data/io/weights/testing_files.h"
#include "retort/testing/fuzz/mutated.h"
#include "retort/testing/fuzz/seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace retort::data {
namespace {

constexpr int kRounds = 20'000;
constexpr size_t kAnywhere = std::numeric_limits<size_t>::max();

TEST(FuzzSafetensorsTest, NoFaultDoesHarm) {
  const std::vector<std::string> files = {
      SampleSafetensors(), MakeSafetensors(R"({"__metadata__":{"retort.sha256":")" + std::string(64, '0') +
                                               R"("},"x":{"dtype":"BF16","shape":[2,0],"data_offsets":[0,0]}})",
                                           "")};
  testing::KeepFuzzSeeds(files);
  std::mt19937 random(1);
  for (int round = 0; round < kRounds; ++round) {
    const std::string bytes =
        testing::Mutated(files[random() % files.size()], files[random() % files.size()], kAnywhere, random);
    ASSERT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), 0);
  }
}

}  // namespace
}  // namespace retort::data
