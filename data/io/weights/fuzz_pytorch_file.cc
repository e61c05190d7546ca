// For libFuzzer (testing/fuzz/run), and for fuzz_pytorch_file_test.cc, which brings its own inputs.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"

#include "retort/data/io/weights/pytorch_file.h"
#include "retort/data/io/weights/testing_files.h"
#include "retort/testing/fuzz/memory_file.h"

namespace {

// Opens the bytes as a file, looks at each that the tensors offer, and verifies it.
void Try(const std::string& bytes) {
  const retort::testing::MemoryFile memory(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const auto file = retort::data::PyTorchFile::Open(memory.path());
  if (!file.ok()) return;
  for (const retort::data::StridedView& view : file->tensors()) retort::testing::ReadEach(view.bytes);
  static_cast<void>(file->Verify());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// An input that does not begin as an archive does is the pickle of a sound one: a fault within an archive's pickle
// would seldom get past its CRC-32.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  Try(absl::StartsWith(input, "PK") ? input : retort::data::MakePth(input, {"1234", "12345678"}));
  return 0;
}
