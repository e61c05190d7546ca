// What augment_record.h says, pixel by pixel: the oracle of the op's tests.
#pragma once

#include <cstdint>
#include <vector>

#include "retort/ops/augment/augment_record.h"

namespace retort::ops {

// `image` is dense [H,W,C], and so is the result.
std::vector<uint8_t> AugmentOracle(const AugmentRecord& record, const std::vector<uint8_t>& image, int height,
                                   int width, int channels);

}  // namespace retort::ops
