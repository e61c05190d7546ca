#include "retort/testing/smoke/add_one.h"

#include <HalideBuffer.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(AddOne, AddsOneAtOddSizes) {
  for (const int n : {1, 3, 16, 33}) {
    Halide::Runtime::Buffer<float, 1> a(n), y(n);
    a.for_each_element([&](int i) { a(i) = static_cast<float>(i); });
    ASSERT_EQ(ops::add_one(a, y), 0);
    for (int i = 0; i < n; ++i) EXPECT_EQ(y(i), static_cast<float>(i + 1)) << "n = " << n;
  }
}

}  // namespace
}  // namespace retort
