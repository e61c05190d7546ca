// Bytes under a path, for readers that open files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace retort::testing {

// A file in memory alone, as long as the object lives.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // Empty if the system gave none.
  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

// Reads each byte, so that a sanitizer sees one that is not there.
template <typename Bytes>
void ReadEach(const Bytes& bytes) {
  uint8_t sum = 0;
  for (const uint8_t byte : bytes) sum = static_cast<uint8_t>(sum + byte);
  volatile uint8_t kept = sum;
  static_cast<void>(kept);
}

}  // namespace retort::testing
