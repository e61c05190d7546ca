#include "retort/ops/torch/tensor_view.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ATen/Context.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::ops::torch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int> Extents(const halide_buffer_t& buffer) {
  std::vector<int> extents;
  for (int i = 0; i < buffer.dimensions; ++i) extents.push_back(buffer.dim[i].extent);
  return extents;
}

std::vector<int> Strides(const halide_buffer_t& buffer) {
  std::vector<int> strides;
  for (int i = 0; i < buffer.dimensions; ++i) strides.push_back(buffer.dim[i].stride);
  return strides;
}

TEST(TensorViewTest, ReversesTheDimensionsAndSharesTheMemory) {
  const at::Tensor tensor = at::zeros({2, 3, 4, 5});
  TensorView view = TensorView::Create("x", tensor).value();
  EXPECT_EQ(view.buffer()->host, tensor.data_ptr());
  EXPECT_EQ(view.buffer()->type, halide_type_of<float>());
  EXPECT_THAT(Extents(*view.buffer()), ElementsAre(5, 4, 3, 2));
  EXPECT_THAT(Strides(*view.buffer()), ElementsAre(1, 5, 20, 60));
}

TEST(TensorViewTest, TakesChannelsLastAsItLies) {
  const at::Tensor tensor = at::zeros({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast);
  TensorView view = TensorView::Create("x", tensor).value();
  EXPECT_EQ(view.buffer()->host, tensor.data_ptr());
  EXPECT_THAT(Extents(*view.buffer()), ElementsAre(5, 4, 3, 2));
  EXPECT_THAT(Strides(*view.buffer()), ElementsAre(3, 15, 1, 60));
}

TEST(TensorViewTest, TakesPlanesAsPixelsAsTheyLie) {
  const at::Tensor planes = at::zeros({2, 3, 4, 5}, at::kByte);
  TensorView view = TensorView::Create("x", planes.permute({0, 2, 3, 1})).value();
  EXPECT_EQ(view.buffer()->host, planes.data_ptr());
  EXPECT_THAT(Extents(*view.buffer()), ElementsAre(3, 5, 4, 2));
  EXPECT_THAT(Strides(*view.buffer()), ElementsAre(20, 1, 5, 60));
}

TEST(TensorViewTest, TakesSlicesAsTheyLie) {
  const at::Tensor whole = at::arange(60, at::kInt).view({3, 4, 5});
  const at::Tensor slice = whole.slice(0, 1).slice(2, 1, 5, 2).transpose(0, 1);  // [4,2,2], starts at element 21.
  TensorView view = TensorView::Create("x", slice).value();
  EXPECT_EQ(*reinterpret_cast<int32_t*>(view.buffer()->host), 21);
  EXPECT_THAT(Extents(*view.buffer()), ElementsAre(2, 2, 4));
  EXPECT_THAT(Strides(*view.buffer()), ElementsAre(2, 20, 5));
}

TEST(TensorViewTest, KeepsTheMemoryAliveAndCanBeMoved) {
  TensorView first = TensorView::Create("x", at::arange(3, at::kLong)).value();
  TensorView second = std::move(first);
  EXPECT_EQ(second.buffer()->dim[0].extent, 3);
  EXPECT_EQ(reinterpret_cast<int64_t*>(second.buffer()->host)[2], 2);
}

TEST(TensorViewTest, TakesScalars) {
  TensorView view = TensorView::Create("x", at::zeros({}, at::kDouble)).value();
  EXPECT_EQ(view.buffer()->dimensions, 0);
  EXPECT_EQ(view.buffer()->type, halide_type_of<double>());
}

TEST(TensorViewTest, OfACUDATensorKnowsItsMemoryThere) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  const at::Tensor slice = at::arange(60, at::TensorOptions(at::kCUDA).dtype(at::kInt)).view({3, 4, 5}).select(0, 1);
  TensorView view = TensorView::Create("x", slice).value();
  EXPECT_EQ(view.buffer()->host, nullptr);
  EXPECT_EQ(view.buffer()->device, reinterpret_cast<uint64_t>(slice.data_ptr()));
  EXPECT_THAT(Strides(*view.buffer()), ElementsAre(1, 5));
}

struct ElementType {
  std::string name;
  at::ScalarType torch;
  halide_type_code_t code;
  uint8_t bits;
};

class TensorViewTypeTest : public ::testing::TestWithParam<ElementType> {};

TEST_P(TensorViewTypeTest, IsTranslated) {
  TensorView view = TensorView::Create("x", at::zeros({2}, GetParam().torch)).value();
  EXPECT_EQ(view.buffer()->type, halide_type_t(GetParam().code, GetParam().bits));
}

INSTANTIATE_TEST_SUITE_P(Types, TensorViewTypeTest,
                         ::testing::Values(ElementType{"Bool", at::kBool, halide_type_uint, 1},
                                           ElementType{"U8", at::kByte, halide_type_uint, 8},
                                           ElementType{"I8", at::kChar, halide_type_int, 8},
                                           ElementType{"I16", at::kShort, halide_type_int, 16},
                                           ElementType{"I32", at::kInt, halide_type_int, 32},
                                           ElementType{"I64", at::kLong, halide_type_int, 64},
                                           ElementType{"F16", at::kHalf, halide_type_float, 16},
                                           ElementType{"BF16", at::kBFloat16, halide_type_bfloat, 16},
                                           ElementType{"F32", at::kFloat, halide_type_float, 32},
                                           ElementType{"F64", at::kDouble, halide_type_float, 64}),
                         [](const auto& instance) { return instance.param.name; });

struct BadTensor {
  std::string name;
  at::Tensor (*make)();
  std::string message;
};

class TensorViewBadTensorTest : public ::testing::TestWithParam<BadTensor> {};

TEST_P(TensorViewBadTensorTest, IsRefused) {
  const absl::Status status = TensorView::Create("x", GetParam().make()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Tensors, TensorViewBadTensorTest,
    ::testing::Values(BadTensor{"Undefined", [] { return at::Tensor(); }, "tensor x is undefined"},
                      BadTensor{"Meta", [] { return at::empty({2}, at::TensorOptions().device(at::kMeta)); },
                                "dense on meta; permitted are dense ones on cpu or cuda"},
                      BadTensor{"Complex", [] { return at::zeros({2}, at::kComplexFloat); }, "type ComplexFloat"},
                      BadTensor{"NineDimensions",
                                [] {
                                  return at::zeros({1, 1, 1, 1, 1, 1, 1, 1, 1});
                                },
                                "9 dimensions; permitted are up to 8"},
                      BadTensor{"VeryLong", [] { return at::zeros({1}).expand({int64_t{1} << 31}); },
                                "extent 2147483648 and stride 0 in dimension 0"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::ops::torch
