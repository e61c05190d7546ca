#include "retort/ops/torch/augment.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "ATen/Context.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/flip.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/rsub.h"
#include "ATen/ops/tensor.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/augment/augment_record.h"

namespace retort::ops::torch {
namespace {

using ::testing::HasSubstr;

// i32 [B,S,8], the same steps for all images.
at::Tensor Records(int64_t batch, const std::vector<AugmentRecord>& steps) {
  const at::Tensor records = at::empty({batch, static_cast<int64_t>(steps.size()), 8}, at::kInt);
  for (int64_t b = 0; b < batch; ++b) {
    std::memcpy(records[b].mutable_data_ptr(), steps.data(), steps.size() * sizeof(AugmentRecord));
  }
  return records;
}

class AugmentTensorTest : public ::testing::TestWithParam<at::DeviceType> {};

TEST_P(AugmentTensorTest, MixesInvertsAndTurns) {
  if (GetParam() == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  at::manual_seed(3);
  const at::Tensor images = at::randint(256, {5, 9, 9, 3}, at::kByte).to(GetParam());
  const at::Tensor records = Records(5, {AugmentRecord::Invert(), AugmentRecord::Rotate(180, 9, 9)}).to(GetParam());
  const at::Tensor output = at::empty_like(images);
  ASSERT_EQ(Augment(images, records, output), absl::OkStatus());
  EXPECT_TRUE(at::equal(output, at::rsub(images, 255).flip({1, 2})));

  // Half of an image and half of what remains of 255.
  const at::Tensor pair = at::empty({5, 2, 243}, images.options());
  pair.select(1, 0).copy_(images.view({5, 243}));
  pair.select(1, 1).copy_(at::rsub(images, 255).view({5, 243}));
  const at::Tensor mixed = at::empty({5, 243}, images.options());
  ASSERT_EQ(MixImages(pair, at::tensor({0.5f, 0.5f}).expand({5, 2}).to(GetParam()), mixed), absl::OkStatus());
  EXPECT_EQ(mixed.min().item<uint8_t>(), 127);
  EXPECT_EQ(mixed.max().item<uint8_t>(), 127);
}

INSTANTIATE_TEST_SUITE_P(Devices, AugmentTensorTest, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& instance) { return c10::DeviceTypeName(instance.param); });

TEST(AugmentTensorErrorTest, NamesTheTensor) {
  const at::Tensor images = at::empty({2, 4, 4, 3}, at::kByte);
  EXPECT_THAT(std::string(Augment(images, at::empty({2, 1, 7}, at::kInt), at::empty_like(images)).message()),
              HasSubstr("records has shape [2,1,7]; give [B,S,8] = [2,1,8]"));
  EXPECT_THAT(std::string(Augment({}, Records(2, {{}}), images).message()), HasSubstr("images"));
}

}  // namespace
}  // namespace retort::ops::torch
