// For libFuzzer (testing/fuzz/run), and for fuzz_safetensors_test.cc, which brings its own inputs.
#include <cstddef>
#include <cstdint>

#include "retort/data/io/safetensors.h"
#include "retort/testing/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Opens the input as a file, looks at each byte that the tensors offer, and verifies it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const retort::testing::MemoryFile memory(data, size);
  const auto file = retort::data::SafetensorsFile::Open(memory.path());
  if (!file.ok()) return 0;
  for (const retort::data::TensorView& view : file->tensors()) retort::testing::ReadEach(view.bytes);
  static_cast<void>(file->Verify());
  return 0;
}
