#include "retort/testing/gradient_check.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "gtest/gtest.h"

namespace retort::testing {
namespace {

at::Tensor Point() { return at::arange(1, 7, at::kDouble).reshape({2, 3}) / 4; }

TEST(GradientErrorTest, IsSmallForARightGradient) {
  EXPECT_LT(GradientError([](const at::Tensor& x) { return (x.sin() * x).sum(); }, Point()), 1e-8);
}

TEST(GradientErrorTest, IsLargeForAGradientThatMissesAPath) {
  EXPECT_GT(GradientError([](const at::Tensor& x) { return (x.sin() * x.detach()).sum(); }, Point()), 0.1);
}

}  // namespace
}  // namespace retort::testing
