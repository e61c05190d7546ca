// For libFuzzer (testing/fuzz/run), and for fuzz_weight_file_test.cc, which brings its own inputs.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "retort/data/io/weights/weight_file.h"

namespace {

// Opens the input as a file, looks at each byte that the tensors offer, and verifies it.
void Try(const std::string& path) {
  const absl::StatusOr<retort::data::WeightFile> file = retort::data::WeightFile::Open(path);
  if (!file.ok()) return;
  uint8_t sum = 0;
  for (const retort::data::StridedView& view : file->tensors()) {
    for (const uint8_t byte : view.bytes) sum = static_cast<uint8_t>(sum + byte);
  }
  volatile uint8_t kept = sum;
  static_cast<void>(kept);
  static_cast<void>(file->Verify());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
  if (descriptor < 0) return 0;
  const bool written = write(descriptor, data, size) == static_cast<ssize_t>(size);
  if (written) Try("/proc/self/fd/" + std::to_string(descriptor));
  close(descriptor);
  return 0;
}
