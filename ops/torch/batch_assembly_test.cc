#include "retort/ops/torch/batch_assembly.h"

#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/Context.h"
#include "ATen/Parallel.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/rand.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/rsub.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/batch_assembly/batch_assembly_oracle.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"

namespace retort::ops::torch {
namespace {

using ::testing::HasSubstr;

struct Inputs {
  explicit Inputs(int64_t batch) {
    at::manual_seed(23);
    images = at::randint(256, {6, 9, 18, 3}, at::kByte);
    index = at::randint(6, {batch}, at::kLong);
    params = at::randint(-4, 5, {batch, 7}, at::kInt);
    params.select(1, 2).remainder_(2);
    scale = at::rand({3});
    offset = at::rand({3});
  }

  Inputs To(at::DeviceType device) const {
    Inputs moved = *this;
    for (at::Tensor* tensor : {&moved.images, &moved.index, &moved.params, &moved.scale, &moved.offset}) {
      *tensor = tensor->to(device);
    }
    return moved;
  }

  absl::Status Run(const at::Tensor& output) const {
    return BatchAssembly(images, index, params, scale, offset, Border::kZero, output);
  }

  // f32 [B,C,H,W], contiguous.
  at::Tensor Expected() const {
    const int64_t batch = index.size(0);
    at::Tensor output = at::empty({batch, 3, 9, 18});
    BatchAssemblyOracle(images.const_data_ptr<uint8_t>(), 9, 18, 3, index.const_data_ptr<int64_t>(),
                        static_cast<const BatchAssemblyParams*>(params.const_data_ptr()), batch,
                        scale.const_data_ptr<float>(), offset.const_data_ptr<float>(), output.mutable_data_ptr<float>(),
                        {output.stride(0), output.stride(1), output.stride(2), output.stride(3)});
    return output;
  }

  at::Tensor images, index, params, scale, offset;
};

struct OutputLayout {
  std::string name;
  at::Tensor (*make)(int64_t batch, at::TensorOptions options);
};

constexpr at::DeviceType kDevices[] = {at::kCPU, at::kCUDA};

class BatchAssemblyLayoutTest : public ::testing::TestWithParam<std::tuple<OutputLayout, at::DeviceType>> {};

TEST_P(BatchAssemblyLayoutTest, EqualsTheOracle) {
  const auto& [layout, device] = GetParam();
  if (device == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    for (const int64_t batch : {0, 1, 9}) {
      const Inputs inputs(batch);
      const at::Tensor output = layout.make(batch, at::TensorOptions(device).dtype(type));
      ASSERT_EQ(inputs.To(device).Run(output), absl::OkStatus());
      EXPECT_TRUE(at::equal(output.cpu(), inputs.Expected().to(type))) << "batch " << batch << " of " << type;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, BatchAssemblyLayoutTest,
    ::testing::Combine(
        ::testing::Values(
            OutputLayout{"Contiguous",
                         [](int64_t batch, at::TensorOptions options) {
                           return at::empty({batch, 3, 9, 18}, options);
                         }},
            OutputLayout{"ChannelsLast",
                         [](int64_t batch, at::TensorOptions options) {
                           return at::empty({batch, 3, 9, 18}, options, at::MemoryFormat::ChannelsLast);
                         }},
            OutputLayout{
                "Slice",
                [](int64_t batch, at::TensorOptions options) {
                  return at::empty({batch, 2, 5, 9, 40}, options).select(1, 1).slice(1, 1, 4).slice(3, 3, 39, 2);
                }}),
        ::testing::ValuesIn(kDevices)),
    [](const auto& instance) {
      return std::get<0>(instance.param).name + c10::DeviceTypeName(std::get<1>(instance.param));
    });

class BatchAssemblyDeviceTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, BatchAssemblyDeviceTest, ::testing::ValuesIn(kDevices),
                         [](const auto& instance) { return c10::DeviceTypeName(instance.param); });

TEST(BatchAssemblyTest, GivesTheSameForEachNumberOfThreads) {
  const Inputs inputs(31);
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    const at::Tensor output = at::empty({31, 3, 9, 18});
    ASSERT_EQ(inputs.Run(output), absl::OkStatus());
    EXPECT_TRUE(at::equal(output, inputs.Expected())) << threads << " threads";
  }
}

TEST(BatchAssemblyTest, TakesSlicedInputsWithoutCopying) {
  const Inputs inputs(4);
  Inputs sliced = inputs;
  sliced.images = at::zeros({12, 9, 18, 3}, at::kByte).slice(0, 0, 12, 2);
  sliced.images.copy_(inputs.images);
  sliced.index = at::zeros({4, 2}, at::kLong).select(1, 1);
  sliced.index.copy_(inputs.index);
  sliced.params = inputs.params.t().contiguous().t();
  sliced.scale = at::zeros({3, 2}).select(1, 0);
  sliced.scale.copy_(inputs.scale);
  sliced.offset = at::zeros({3, 5}).select(1, 4);
  sliced.offset.copy_(inputs.offset);
  const at::Tensor output = at::empty({4, 3, 9, 18});
  ASSERT_EQ(sliced.Run(output), absl::OkStatus());
  EXPECT_TRUE(at::equal(output, inputs.Expected()));
}

TEST_P(BatchAssemblyDeviceTest, ReadsImagesAsTheyLie) {
  Inputs dense(4);
  const at::Tensor planes = at::randint(256, {6, 3, 9, 18}, at::kByte),
                   more = at::randint(256, {6, 9, 18, 5}, at::kByte);
  const auto planar = [](const at::Tensor& there) { return there.permute({0, 2, 3, 1}); };
  const auto some = [](const at::Tensor& there) { return there.slice(3, 1, 4); };
  const auto grey = [](const at::Tensor& there) { return there.slice(3, 2, 3).expand({6, 9, 18, 3}); };
  for (const auto& [base, view] : {std::pair<at::Tensor, std::function<at::Tensor(const at::Tensor&)>>{planes, planar},
                                   {more, some},
                                   {more, grey}}) {
    dense.images = view(base).contiguous();
    Inputs there = dense.To(GetParam());
    const at::Tensor base_there = base.to(GetParam());
    there.images = view(base_there);
    ASSERT_FALSE(there.images.is_contiguous());
    ASSERT_EQ(there.images.storage().data(), base_there.storage().data());
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const at::Tensor output = at::empty({4, 3, 9, 18}, at::TensorOptions(GetParam()).memory_format(format));
      ASSERT_EQ(there.Run(output), absl::OkStatus());
      EXPECT_TRUE(at::equal(output.cpu(), dense.Expected()));
    }
    const at::Tensor pixels = at::empty({4, 9, 18, 3}, there.images.options());
    there.params.zero_();
    ASSERT_EQ(CropBatch(there.images, there.index, there.params, Border::kZero, pixels), absl::OkStatus());
    EXPECT_TRUE(at::equal(pixels, there.images.index_select(0, there.index)));
  }
}

TEST_P(BatchAssemblyDeviceTest, WeighsTwoViews) {
  const Inputs one(4), other = [] {
    Inputs inputs(4);
    inputs.index = inputs.index.flip(0);
    inputs.params = inputs.params.flip(0);
    return inputs;
  }();
  const at::Tensor lambda = at::tensor({1.0f, 0.75f, 0.5f, 0.0f});
  const auto there = [](const at::Tensor& tensor) { return tensor.to(GetParam()); };
  const at::Tensor output = there(at::empty({4, 3, 9, 18}));
  ASSERT_EQ(MixedBatchAssembly(there(one.images), there(at::stack({one.index, other.index}, 1)),
                               there(at::stack({one.params, other.params}, 1)), there(lambda),
                               there(at::zeros({4, 4}, at::kInt)), there(one.scale), there(one.offset), Border::kZero,
                               output),
            absl::OkStatus());
  const at::Tensor weight = lambda.view({4, 1, 1, 1});
  EXPECT_TRUE(at::equal(output.cpu(), one.Expected().mul(weight).add(other.Expected().mul(at::rsub(weight, 1)))));
}

TEST_P(BatchAssemblyDeviceTest, TakesPixels) {
  Inputs inputs(5);
  inputs.params.zero_();
  inputs = inputs.To(GetParam());
  const at::Tensor output = at::empty({5, 9, 18, 3}, inputs.images.options());
  ASSERT_EQ(CropBatch(inputs.images, inputs.index, inputs.params, Border::kZero, output), absl::OkStatus());
  EXPECT_TRUE(at::equal(output, inputs.images.index_select(0, inputs.index)));
}

struct BadCall {
  std::string name;
  absl::Status (*call)(const Inputs& inputs, const at::Tensor& output);
  absl::StatusCode code;
  std::string message;
};

class BatchAssemblyBadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(BatchAssemblyBadCallTest, IsRefusedAndLeavesTheOutputAlone) {
  const at::Tensor output = at::full({4, 3, 9, 18}, 5.0);
  const absl::Status status = GetParam().call(Inputs(4), output);
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_TRUE(at::equal(output, at::full({4, 3, 9, 18}, 5.0)));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, BatchAssemblyBadCallTest,
    ::testing::Values(BadCall{"IndexBeyondTheEnd",
                              [](const Inputs& i, const at::Tensor& output) {
                                return BatchAssembly(i.images, at::full({4}, 6, at::kLong), i.params, i.scale, i.offset,
                                                     Border::kZero, output);
                              },
                              absl::StatusCode::kOutOfRange, "index[0] = 6, but images has 6"},
                      BadCall{"HalfPrecisionScale",
                              [](const Inputs& i, const at::Tensor& output) {
                                return BatchAssembly(i.images, i.index, i.params, i.scale.to(at::kHalf), i.offset,
                                                     Border::kZero, output);
                              },
                              absl::StatusCode::kInvalidArgument, "scale has 1 dimensions of f16; give 1 of f32"},
                      BadCall{"OutputOfAnotherShape",
                              [](const Inputs& i, const at::Tensor& output) { return i.Run(output.slice(2, 1)); },
                              absl::StatusCode::kInvalidArgument,
                              "output has shape [4,3,8,18]; give [B,C,H,W] = [4,3,9,18]"},
                      BadCall{"ExpandedOutput",
                              [](const Inputs& i, const at::Tensor& output) {
                                return i.Run(output.slice(0, 0, 1).expand({4, 3, 9, 18}));
                              },
                              absl::StatusCode::kInvalidArgument, "output has elements that share memory"},
                      BadCall{"UndefinedImages",
                              [](const Inputs& i, const at::Tensor& output) {
                                return BatchAssembly(at::Tensor(), i.index, i.params, i.scale, i.offset, Border::kZero,
                                                     output);
                              },
                              absl::StatusCode::kInvalidArgument, "tensor images is undefined"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::ops::torch
