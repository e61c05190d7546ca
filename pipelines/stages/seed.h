// Independent seeds from one.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace retort::pipelines {

// The first 64 bits of SHA-256("<purpose> <seed>"), so that the views of an augment stage, say, have nothing to do with
// the batch order of a training stage of the same seed.
uint64_t DeriveSeed(uint64_t seed, absl::string_view purpose);

}  // namespace retort::pipelines
