#include "retort/data/io/tensor_view.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;

TEST(TensorViewTest, EveryTypeHasANameOfItsOwn) {
  for (const DType dtype : AllDTypes()) EXPECT_EQ(DTypeOfName(DTypeName(dtype)), dtype) << DTypeName(dtype);
  EXPECT_EQ(AllDTypes().size(), 22u);
  EXPECT_EQ(DTypeOfName("f32"), absl::nullopt);
}

TEST(TensorViewTest, CountsBytes) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const auto count = [](DType dtype, const std::vector<int64_t>& shape) {
    return ByteCount(dtype, shape).value_or(-1);
  };
  EXPECT_EQ(count(DType::kF32, {}), 4);
  EXPECT_EQ(count(DType::kC64, {2, 3}), 48);
  EXPECT_EQ(count(DType::kF4, {3, 2}), 3);
  EXPECT_EQ(count(DType::kF6E2M3, {4}), 3);
  EXPECT_EQ(count(DType::kF4, {3}), -1);
  EXPECT_EQ(count(DType::kU8, {2, 0}), 0);
  EXPECT_EQ(count(DType::kU8, {-1}), -1);
  EXPECT_EQ(count(DType::kU8, {-1, 0}), -1);
  EXPECT_EQ(count(DType::kU8, {kMost / 8}), kMost / 8);
  EXPECT_EQ(count(DType::kU8, {kMost / 8 + 1}), -1);
  EXPECT_EQ(count(DType::kU8, {0, kMost, 2}), -1);
}

TEST(TensorViewTest, RowMajorStridesAreThoseOfPyTorch) {
  // torch.empty(2, 3, 4).stride() and torch.empty(2, 0, 4).stride()
  EXPECT_THAT(RowMajorStrides({2, 3, 4}), ElementsAre(12, 4, 1));
  EXPECT_THAT(RowMajorStrides({2, 0, 4}), ElementsAre(4, 4, 1));
  EXPECT_THAT(RowMajorStrides({}), ElementsAre());
}

}  // namespace
}  // namespace retort::data
