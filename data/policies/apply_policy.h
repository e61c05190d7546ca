// A policy's ops on images of bytes.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "retort/data/policies/augment_policy.h"

namespace retort::data {

// Which view of which image, for the draws.
struct ImageView {
  int64_t image = 0;
  int64_t view = 0;
};

// Replaces each image by what the policy makes of it. `pixels` is dense u8 [B,H,W,C], B being the number of `views`,
// C 1 or 3. Images are divided among Halide's threads. aug_mix needs (K + 1) B images of memory besides, K being its
// chains.
absl::Status ApplyPolicy(const AugmentPolicy& policy, uint64_t seed, absl::Span<const ImageView> views, int64_t height,
                         int64_t width, int64_t channels, uint8_t* pixels);

}  // namespace retort::data
