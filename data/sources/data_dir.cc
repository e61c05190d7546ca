#include "retort/data/sources/data_dir.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace retort::data {

std::string DefaultDataDir() {
  if (const char* data = std::getenv("RETORT_DATA"); data != nullptr && *data != '\0') return data;
  const char* home = std::getenv("HOME");
  return absl::StrCat(home == nullptr ? "" : home, "/.cache/retort/data");
}

}  // namespace retort::data
