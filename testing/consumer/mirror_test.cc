// Mirrors one image with an op of Retort, knowing neither LibTorch nor protobuf.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "HalideBuffer.h"
#include "retort/ops/batch_assembly/batch_assembly.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"

namespace {

using ::Halide::Runtime::Buffer;

TEST(Mirror, OneRowOfGreyPixels) {
  constexpr int kWidth = 5;
  std::array<uint8_t, kWidth> pixels = {10, 20, 30, 40, 50};
  int64_t image = 0;
  retort::ops::BatchAssemblyParams mirror;
  mirror.flip = 1;
  float one = 1, zero = 0;
  std::array<float, kWidth> mirrored = {};
  // Dimensions innermost first: images [N,H,W,C], output [B,C,H,W].
  Buffer<uint8_t, 4> images(pixels.data(), 1, kWidth, 1, 1);
  Buffer<int64_t, 1> index(&image, 1);
  Buffer<int32_t, 2> params(&mirror.dy, 7, 1);
  Buffer<float, 1> scale(&one, 1), offset(&zero, 1);
  Buffer<float, 4> output(mirrored.data(), kWidth, 1, 1, 1);

  const absl::Status status = retort::ops::BatchAssembly(images, index, params, scale, offset, retort::ops::Border::kZero, output);

  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(mirrored, (std::array<float, kWidth>{50, 40, 30, 20, 10}));
}

}  // namespace
