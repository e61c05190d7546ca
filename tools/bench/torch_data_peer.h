// The input pipeline that LibTorch itself offers, as a peer of the batcher.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/types/span.h"

namespace retort::bench {

// One pass over u8 images [N,32,32,3] through torch::data: a map-style dataset shuffled by a sampler, pad-crop 4, flip,
// normalise and cutout of 8 pixels a sample with tensor operations, Stack, batches of 128. Returns the number of images
// seen.
int64_t TorchDataPass(absl::Span<const uint8_t> images, int64_t size);

}  // namespace retort::bench
