// Archives and pickles with faults at random: none may do more than be refused. Worth most with --config=asan and
// --config=ubsan.
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

constexpr int kRounds = 40'000;
constexpr size_t kAnywhere = std::numeric_limits<size_t>::max();

TEST(FuzzPyTorchFileTest, NoFaultDoesHarm) {
  const std::string state_dict = PickleOf(PickleDict({{"x", PickleTensor({})}, {"n", PickleInteger(1)}}));
  const std::string nested = PickleOf(
      PickleDict({{"model", PickleDict({{"w", PickleTensor({.count = 1, .shape = {1, 1}, .strides = {1, 1}})}})},
                  {"args", PickleTuple({PickleText("a"), PickleCall("collections", "OrderedDict", {})})}}));
  // Pickles, which are put into a sound archive, and archives.
  const std::vector<std::string> files = {
      state_dict, nested, SamplePth(), MakePth(state_dict, {"1234"}),
      MakeZip({{"archive/data.pkl", state_dict}, {"archive/data/0", "1234"}}, {.zip64_fields = true})};
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
