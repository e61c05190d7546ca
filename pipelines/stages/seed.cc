#include "retort/pipelines/stages/seed.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "retort/data/io/sha256.h"

namespace retort::pipelines {

uint64_t DeriveSeed(uint64_t seed, absl::string_view purpose) {
  uint64_t derived = 0;
  for (const char digit : data::Sha256Hex(absl::StrCat(purpose, " ", seed)).substr(0, 16)) {
    derived = derived << 4 | static_cast<uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return derived;
}

}  // namespace retort::pipelines
