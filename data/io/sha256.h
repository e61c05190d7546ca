// SHA-256 (FIPS 180-4), through OpenSSL's libcrypto.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace retort::data {

// Incremental hash: Update as often as needed, then HexDigest once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();

  void Update(absl::string_view bytes);
  void Update(absl::Span<const uint8_t> bytes);

  // 64 lower-case hexadecimal digits.
  std::string HexDigest();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Hex(absl::string_view bytes);
absl::StatusOr<std::string> Sha256File(const std::string& path);

}  // namespace retort::data
