// Files with faults at random: none may do more than be refused. Worth most with --config=asan and --config=ubsan.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "retort/data/io/weights/testing_files.h"
#include "retort/testing/fuzz/seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace retort::data {
namespace {

constexpr int kRounds = 20'000;

std::string Mutated(std::string bytes, const std::string& other, std::mt19937& random) {
  const auto below = [&](size_t end) { return static_cast<size_t>(random()) % end; };
  for (size_t faults = 1 + below(4); faults > 0 && !bytes.empty(); --faults) {
    const size_t at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes[at] = static_cast<char>(below(2) == 0 ? 0xff : 0);
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.erase(at, below(20));
        break;
      case 5:
        bytes.insert(at, other, below(other.size()), below(60));
        break;
    }
  }
  return bytes;
}

TEST(FuzzWeightFileTest, NoFaultDoesHarm) {
  const std::string state_dict = PickleOf(PickleDict({{"x", PickleTensor({})}, {"n", PickleInteger(1)}}));
  const std::vector<std::string> files = {
      SamplePth(), SampleSafetensors(), MakePth(state_dict, {"1234"}),
      MakeZip({{"archive/data.pkl", state_dict}, {"archive/data/0", "1234"}}, {.zip64_fields = true})};
  testing::KeepFuzzSeeds(files);
  std::mt19937 random(1);
  for (int round = 0; round < kRounds; ++round) {
    const std::string bytes = Mutated(files[random() % files.size()], files[random() % files.size()], random);
    ASSERT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), 0);
    // A pickle within a sound archive, so that faults get that far.
    const std::string pth = MakePth(Mutated(state_dict, state_dict, random), {"1234"});
    ASSERT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(pth.data()), pth.size()), 0);
  }
}

}  // namespace
}  // namespace retort::data
