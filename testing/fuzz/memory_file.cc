#include "retort/testing/fuzz/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

namespace retort::testing {

MemoryFile::MemoryFile(const uint8_t* data, size_t size) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
  if (descriptor_ >= 0 && write(descriptor_, data, size) == static_cast<ssize_t>(size)) {
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
}

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace retort::testing
