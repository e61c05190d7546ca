#include "retort/ops/check_arguments.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "HalideBuffer.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/device.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;

std::string Message(const CheckArguments& check) { return std::string(check.status().message()); }

TEST(CheckArgumentsTest, AcceptsWhatIsAskedFor) {
  Buffer<float, 2> image(3, 5);
  CheckArguments check("blur", {});
  check.Buffer("image", image, {halide_type_of<uint8_t>(), halide_type_of<float>()}, 2);
  check.Output("image", image, {halide_type_of<float>()}, 2);
  check.Shape("image", *image.raw_buffer(), "[H,W]", {5, 3});
  check.Condition(true, [] { return "never told"; });
  EXPECT_EQ(check.status(), absl::OkStatus());
}

TEST(CheckArgumentsTest, KeepsTheFirstFault) {
  CheckArguments check("blur", {});
  check.Buffer("image", nullptr, {halide_type_of<float>()}, 2);
  check.Condition(false, [] { return "sigma is -1; give 0 or more"; });
  EXPECT_EQ(check.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(check), "blur: image is missing");
}

TEST(CheckArgumentsTest, NamesTypesAndDimensions) {
  Buffer<float, 2> image(3, 5);
  CheckArguments check("blur", {});
  check.Buffer("image", image, {halide_type_of<uint8_t>(), BFloat16()}, 3);
  EXPECT_EQ(Message(check), "blur: image has 2 dimensions of f32; give 3 of u8 or bf16");
}

TEST(CheckArgumentsTest, NamesShapes) {
  Buffer<float, 2> image(3, 5);
  CheckArguments check("blur", {});
  check.Shape("image", *image.raw_buffer(), "[H,W]", {3, 5});
  EXPECT_EQ(Message(check), "blur: image has shape [5,3]; give [H,W] = [3,5]");
}

TEST(CheckArgumentsTest, RefusesNegativeExtents) {
  std::array<halide_dimension_t, 1> dimensions = {{{0, -2, 1}}};
  halide_buffer_t buffer = {};
  buffer.type = halide_type_of<float>();
  buffer.dimensions = 1;
  buffer.dim = dimensions.data();
  CheckArguments check("blur", {});
  check.Buffer("image", &buffer, {halide_type_of<float>()}, 1);
  EXPECT_EQ(Message(check), "blur: image has -2 elements along dim[0]; give 0 or more");
}

TEST(CheckArgumentsTest, RefusesBuffersThatLieElsewhere) {
  Buffer<float, 1> nowhere(nullptr, 4), host(4), empty(nullptr, 0);
  CheckArguments on_host("blur", {}), on_device("blur", {Device::Kind::kOpenCl}), nothing("blur", {});
  on_host.Buffer("image", nowhere, {halide_type_of<float>()}, 1);
  EXPECT_EQ(Message(on_host), "blur: image has no memory on the host; give one whose host pointer is set");
  on_device.Buffer("image", host, {halide_type_of<float>()}, 1);
  EXPECT_EQ(Message(on_device),
            "blur: image has no memory on the OpenCL device; copy it there, or wrap memory that is there");
  nothing.Buffer("image", empty, {halide_type_of<float>()}, 1);
  EXPECT_EQ(nothing.status(), absl::OkStatus());
}

struct Strides {
  std::string name;
  std::vector<halide_dimension_t> dimensions;  // min, extent, stride
  bool shares_memory;
};

class OutputTest : public ::testing::TestWithParam<Strides> {};

TEST_P(OutputTest, HasElementsApart) {
  std::vector<float> memory(100);
  std::vector<halide_dimension_t> dimensions = GetParam().dimensions;
  Buffer<float> buffer(memory.data() + 50, static_cast<int>(dimensions.size()), dimensions.data());
  CheckArguments check("blur", {});
  check.Output("output", buffer, {halide_type_of<float>()}, static_cast<int>(dimensions.size()));
  EXPECT_EQ(check.ok(), !GetParam().shares_memory);
  if (!check.ok()) {
    EXPECT_EQ(Message(check), "blur: output has elements that share memory; give one whose strides keep them apart");
  }
}

INSTANTIATE_TEST_SUITE_P(Strides, OutputTest,
                         ::testing::Values(Strides{"Dense", {{0, 4, 1}, {0, 3, 4}}, false},
                                           Strides{"Transposed", {{0, 4, 3}, {0, 3, 1}}, false},
                                           Strides{"Spaced", {{0, 4, 2}, {0, 3, 9}}, false},
                                           Strides{"Interleaved", {{0, 2, 3}, {0, 3, 1}, {0, 2, 6}}, false},
                                           Strides{"Mirrored", {{0, 4, -1}, {0, 3, 4}}, false},
                                           Strides{"OneWideOfAnyStride", {{0, 1, 0}, {0, 3, 1}}, false},
                                           Strides{"EmptyOfAnyStride", {{0, 0, 1}, {0, 3, 0}}, false},
                                           Strides{"Expanded", {{0, 4, 0}, {0, 3, 4}}, true},
                                           Strides{"OneShortOfARow", {{0, 4, 1}, {0, 3, 3}}, true},
                                           Strides{"RunningBackInto", {{0, 4, -1}, {0, 3, 3}}, true}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::ops
