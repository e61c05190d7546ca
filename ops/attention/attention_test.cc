#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/attention/activation_map.h"
#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/attention/attention_transfer.h"
#include "retort/ops/device.h"
#include "retort/testing/device_buffers.h"
#include "retort/testing/instruction_sets.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr float kUntouched = -12345.0f;

enum class Layout { kPlanar, kChannelsLast, kSlicePlanar, kSliceChannelsLast };

constexpr ActivationKind kKinds[] = {ActivationKind::kMeanAbsolute, ActivationKind::kMeanSquare,
                                     ActivationKind::kMeanFourth, ActivationKind::kMaximum};

std::string Name(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kMeanAbsolute:
      return "MeanAbsolute";
    case ActivationKind::kMeanSquare:
      return "MeanSquare";
    case ActivationKind::kMeanFourth:
      return "MeanFourth";
    case ActivationKind::kMaximum:
      return "Maximum";
  }
  return "";
}

struct Problem {
  int batch = 2;
  int channels = 5;
  int height = 3;
  int width = 7;
  ActivationKind kind = ActivationKind::kMeanSquare;
  bool normalize = true;
  Layout layout = Layout::kPlanar;
};

std::string Name(const Problem& p) {
  constexpr const char* kLayouts[] = {"Planar", "ChannelsLast", "SlicePlanar", "SliceChannelsLast"};
  return absl::StrCat("B", p.batch, "C", p.channels, "H", p.height, "W", p.width, Name(p.kind),
                      p.normalize ? "Normalized" : "AsItIs", kLayouts[static_cast<int>(p.layout)]);
}

// Memory of [B,C,H,W] in a layout; slices have elements between rows that must stay untouched.
class Block {
 public:
  explicit Block(const Problem& p) {
    const bool slice = p.layout == Layout::kSlicePlanar || p.layout == Layout::kSliceChannelsLast;
    const int gap = slice ? 3 : 0;
    if (p.layout == Layout::kPlanar || p.layout == Layout::kSlicePlanar) {
      stride_ = {1, p.width + gap, (p.width + gap) * p.height, (p.width + gap) * p.height * p.channels};
    } else {
      const int c = p.channels + gap;
      stride_ = {c, c * (p.width + gap), 1, c * (p.width + gap) * p.height};
    }
    memory_.assign(static_cast<size_t>(std::max(1, stride_[3] * p.batch)), kUntouched);
    const halide_dimension_t dimensions[] = {
        {0, p.width, stride_[0]}, {0, p.height, stride_[1]}, {0, p.channels, stride_[2]}, {0, p.batch, stride_[3]}};
    buffer = Buffer<float, 4>(memory_.data(), 4, dimensions);
  }

  int64_t Untouched() const { return std::count(memory_.begin(), memory_.end(), kUntouched); }

 private:
  std::array<int, 4> stride_;
  std::vector<float> memory_;

 public:
  Buffer<float, 4> buffer;
};

using Sample = std::vector<double>;  // [C][H*W]

// The map of one sample, from its definition.
Sample MapOracle(const Sample& features, const Problem& p) {
  const size_t places = static_cast<size_t>(p.height * p.width);
  Sample map(places);
  double square = 0;
  for (size_t i = 0; i < places; ++i) {
    for (size_t c = 0; c < static_cast<size_t>(p.channels); ++c) {
      const double f = std::abs(features[c * places + i]);
      switch (p.kind) {
        case ActivationKind::kMeanAbsolute:
          map[i] += f / p.channels;
          break;
        case ActivationKind::kMeanSquare:
          map[i] += f * f / p.channels;
          break;
        case ActivationKind::kMeanFourth:
          map[i] += f * f * f * f / p.channels;
          break;
        case ActivationKind::kMaximum:
          map[i] = std::max(map[i], f);
          break;
      }
    }
    square += map[i] * map[i];
  }
  if (p.normalize) {
    for (double& value : map) value /= std::max(std::sqrt(square), 1e-12);
  }
  return map;
}

struct Arguments {
  explicit Arguments(const Problem& problem) : p(problem), features(p), gradient(p), backward(p) {
    std::mt19937 random(31);
    std::normal_distribution<float> number;
    // No value so near to 0 that central differences straddle the edge of |F|, and no two maxima so near.
    features.buffer.for_each_element([&](int x, int y, int c, int b) {
      const float f = number(random);
      features.buffer(x, y, c, b) =
          std::copysign(std::round(std::abs(f) * 256) / 256 + 0.01f + 1e-4f * static_cast<float>(c % 20), f);
    });
    const float typical = p.normalize ? 1 / std::sqrt(static_cast<float>(p.height * p.width)) : 1;
    target.for_each_value([&](float& value) { value = typical * (1 + 0.3f * number(random)); });
    weight.for_each_value([&](float& value) { value = number(random); });
    map.fill(kUntouched);
    rows.fill(kUntouched);
    loss.fill(kUntouched);
  }

  absl::Status Run(Device::Kind kind = Device::Kind::kHost) {
    const ActivationMapParameters parameters = {p.kind, p.normalize};
    for (halide_buffer_t* buffer : Buffers()) {
      if (buffer->number_of_elements() > 0) testing::ToDevice(kind, buffer);
    }
    absl::Status status = ActivationMap(features.buffer, parameters, map, {kind});
    if (status.ok()) status = ActivationMapBackward(features.buffer, weight, parameters, backward.buffer, {kind});
    if (status.ok()) {
      status = AttentionTransfer(features.buffer, target, parameters, {gradient.buffer, rows, loss}, {kind});
    }
    for (halide_buffer_t* buffer : Buffers()) {
      if (buffer->number_of_elements() > 0) testing::ToHost(kind, buffer);
    }
    return status;
  }

  std::vector<halide_buffer_t*> Buffers() {
    return {features.buffer.raw_buffer(),
            gradient.buffer.raw_buffer(),
            backward.buffer.raw_buffer(),
            target.raw_buffer(),
            weight.raw_buffer(),
            map.raw_buffer(),
            rows.raw_buffer(),
            loss.raw_buffer()};
  }

  Sample SampleOf(const Buffer<float, 4>& block, int b) const {
    Sample sample;
    for (int c = 0; c < p.channels; ++c) {
      for (int y = 0; y < p.height; ++y) {
        for (int x = 0; x < p.width; ++x) sample.push_back(block(x, y, c, b));
      }
    }
    return sample;
  }

  // What is wrong with the outputs; empty if nothing is.
  std::string Fault() const {
    constexpr double kStep = 1e-5;
    double total = 0;
    for (int b = 0; b < p.batch; ++b) {
      const Sample f = SampleOf(features.buffer, b), q = MapOracle(f, p);
      const double largest = *std::max_element(q.begin(), q.end());
      // Of the sample: the loss, and a weighted sum of the map, whose gradient by the map are the weights.
      const auto values = [&](const Sample& point) {
        const Sample at = MapOracle(point, p);
        std::array<double, 2> result = {};
        for (int i = 0; i < p.height * p.width; ++i) {
          const int x = i % p.width, y = i / p.width;
          const double difference = at[static_cast<size_t>(i)] - target(x, y, b);
          result[0] += difference * difference / (p.height * p.width);
          result[1] += at[static_cast<size_t>(i)] * weight(x, y, b);
        }
        return result;
      };
      for (int i = 0; i < p.height * p.width; ++i) {
        const float is = map(i % p.width, i / p.width, b);
        if (!(std::abs(is - q[static_cast<size_t>(i)]) <= 1e-5 * largest)) {
          return absl::StrCat("map of place ", i, " of sample ", b, " is ", is, ", not ", q[static_cast<size_t>(i)]);
        }
      }
      const double of_sample = values(f)[0];
      if (!(std::abs(rows(b) - of_sample) <= 2e-5 * std::max(of_sample, largest * largest * 0.01))) {
        return absl::StrCat("loss of sample ", b, " is ", rows(b), ", not ", of_sample);
      }
      total += of_sample / p.batch;
      // Central differences of every element of small samples, of some of large ones.
      const Sample by_loss = SampleOf(gradient.buffer, b), by_weight = SampleOf(backward.buffer, b);
      const auto magnitude = [](const Sample& sample) {
        double most = 0;
        for (const double value : sample) most = std::max(most, std::abs(value));
        return most;
      };
      for (size_t i = 0; i < f.size(); i += std::max<size_t>(1, f.size() / 50)) {
        Sample up = f, down = f;
        up[i] += kStep, down[i] -= kStep;
        const double loss_slope = (values(up)[0] - values(down)[0]) / (2 * kStep) / p.batch;
        const double weight_slope = (values(up)[1] - values(down)[1]) / (2 * kStep);
        if (!(std::abs(by_loss[i] - loss_slope) <= 2e-5 * magnitude(by_loss) + 1e-9)) {
          return absl::StrCat("gradient ", i, " of sample ", b, " is ", by_loss[i], ", not ", loss_slope);
        }
        if (!(std::abs(by_weight[i] - weight_slope) <= 2e-5 * magnitude(by_weight) + 2e-6)) {
          return absl::StrCat("backward ", i, " of sample ", b, " is ", by_weight[i], ", not ", weight_slope);
        }
      }
    }
    if (p.batch > 0 && !(std::abs(loss(0) - total) <= 2e-5 * total)) {
      return absl::StrCat("loss is ", loss(0), ", not ", total);
    }
    const int64_t between = features.Untouched();
    if (gradient.Untouched() != between || backward.Untouched() != between) return "elements between rows are touched";
    return "";
  }

  Problem p;
  Block features, gradient, backward;
  Buffer<float, 3> target = Buffer<float, 3>(p.width, p.height, p.batch),
                   weight = Buffer<float, 3>(p.width, p.height, p.batch),
                   map = Buffer<float, 3>(p.width, p.height, p.batch);
  Buffer<float, 1> rows = Buffer<float, 1>(p.batch), loss = Buffer<float, 1>(1);
};

// Sizes around the vectors of 16 and the blocks of 128.
std::vector<Problem> Problems() {
  std::vector<Problem> problems;
  for (const Layout layout :
       {Layout::kPlanar, Layout::kChannelsLast, Layout::kSlicePlanar, Layout::kSliceChannelsLast}) {
    for (const ActivationKind kind : kKinds) {
      for (const bool normalize : {true, false}) {
        problems.push_back({.kind = kind, .normalize = normalize, .layout = layout});
      }
      for (const auto& [channels, height, width] :
           {std::array{1, 1, 1}, {1, 4, 4}, {3, 1, 17}, {16, 4, 4}, {17, 16, 1}, {33, 5, 13}}) {
        problems.push_back({.channels = channels, .height = height, .width = width, .kind = kind, .layout = layout});
      }
    }
    problems.push_back({.batch = 5, .channels = 64, .height = 16, .width = 16, .layout = layout});
    problems.push_back({.batch = 1, .channels = 24, .height = 14, .width = 14, .layout = layout});
    problems.push_back({.batch = 0, .layout = layout});
    // Of no more places than a GPU keeps: in one row 4060, in rows of 128 3968.
    const bool slice = layout == Layout::kSlicePlanar || layout == Layout::kSliceChannelsLast;
    problems.push_back({.batch = 1, .channels = 2, .height = slice ? 31 : 58, .width = 70, .layout = layout});
  }
  return problems;
}

class AttentionTest : public ::testing::TestWithParam<std::tuple<Device::Kind, Problem>> {};

TEST_P(AttentionTest, EqualsItsDefinitionAndCentralDifferences) {
  const auto& [kind, problem] = GetParam();
  if (!testing::IsThere(kind)) GTEST_SKIP() << "no " << Name(kind) << " device here";
  Arguments arguments(problem);
  ASSERT_EQ(arguments.Run(kind), absl::OkStatus());
  EXPECT_EQ(arguments.Fault(), "");
}

INSTANTIATE_TEST_SUITE_P(Sizes, AttentionTest,
                         ::testing::Combine(::testing::ValuesIn(testing::kDevices), ::testing::ValuesIn(Problems())),
                         [](const auto& instance) {
                           return absl::StrCat(Name(std::get<0>(instance.param)), Name(std::get<1>(instance.param)));
                         });

// Published for the authors' code in float64: student sin(0.3b + 0.5c + 1.1h - 0.7w + 0.05) [4,6,8,8], teacher
// cos(0.2b - 0.4c + 0.9h + 1.3w) [4,8,8,8].
class AttentionPublishedTest : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(AttentionPublishedTest, IsMet) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  Arguments student({.batch = 4, .channels = 6, .height = 8, .width = 8});
  Arguments teacher({.batch = 4, .channels = 8, .height = 8, .width = 8});
  student.features.buffer.for_each_element([&](int w, int h, int c, int b) {
    student.features.buffer(w, h, c, b) = static_cast<float>(std::sin(0.3 * b + 0.5 * c + 1.1 * h - 0.7 * w + 0.05));
  });
  teacher.features.buffer.for_each_element([&](int w, int h, int c, int b) {
    teacher.features.buffer(w, h, c, b) = static_cast<float>(std::cos(0.2 * b - 0.4 * c + 0.9 * h + 1.3 * w));
  });
  ASSERT_EQ(teacher.Run(GetParam()), absl::OkStatus());
  student.target.copy_from(teacher.map);
  ASSERT_EQ(student.Run(GetParam()), absl::OkStatus());
  EXPECT_NEAR(student.loss(0), 2.1863983117e-05, 1e-5 * 2.2e-05);
  double square = 0;
  student.gradient.buffer.for_each_value([&](float value) { square += double{value} * value; });
  EXPECT_NEAR(std::sqrt(square), 8.41847366035e-05, 1e-5 * 8.4e-05);
}

INSTANTIATE_TEST_SUITE_P(Devices, AttentionPublishedTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

TEST(AttentionValuesTest, DeadFeaturesGiveAMapAndGradientOfZero) {
  for (const ActivationKind kind : kKinds) {
    Arguments arguments({.kind = kind});
    arguments.features.buffer.fill(0);
    ASSERT_EQ(arguments.Run(), absl::OkStatus());
    arguments.map.for_each_value([](float value) { EXPECT_EQ(value, 0); });
    arguments.gradient.buffer.for_each_value([](float value) { EXPECT_EQ(value, 0); });
  }
}

TEST(AttentionValuesTest, ChannelsThatShareTheMaximumShareItsGradient) {
  Arguments arguments(
      {.batch = 1, .channels = 3, .height = 1, .width = 1, .kind = ActivationKind::kMaximum, .normalize = false});
  for (const int c : {0, 1, 2}) arguments.features.buffer(0, 0, c, 0) = c == 0 ? -2.0f : c == 1 ? 1.0f : 2.0f;
  arguments.weight(0, 0, 0) = 8;
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  EXPECT_EQ(arguments.map(0, 0, 0), 2);
  EXPECT_EQ(arguments.backward.buffer(0, 0, 0, 0), -4);
  EXPECT_EQ(arguments.backward.buffer(0, 0, 1, 0), 0);
  EXPECT_EQ(arguments.backward.buffer(0, 0, 2, 0), 4);
}

TEST(AttentionValuesTest, NaNStaysInItsSample) {
  for (const Layout layout : {Layout::kPlanar, Layout::kChannelsLast}) {
    Arguments good({.layout = layout}), bad({.layout = layout});
    bad.features.buffer(6, 2, 4, 1) = std::numeric_limits<float>::quiet_NaN();
    ASSERT_EQ(good.Run(), absl::OkStatus());
    ASSERT_EQ(bad.Run(), absl::OkStatus());
    EXPECT_TRUE(std::isnan(bad.loss(0)));
    EXPECT_TRUE(std::isnan(bad.map(0, 0, 1)));
    EXPECT_TRUE(std::isnan(bad.gradient.buffer(0, 0, 0, 1)));
    EXPECT_EQ(bad.SampleOf(bad.gradient.buffer, 0), good.SampleOf(good.gradient.buffer, 0));
  }
}

TEST(AttentionThreadsTest, GiveTheSameBits) {
  Sample first;
  for (const int threads : {1, 2, 5}) {
    halide_set_num_threads(threads);
    Arguments arguments({.batch = 9, .channels = 20, .height = 9, .width = 9});
    ASSERT_EQ(arguments.Run(), absl::OkStatus());
    const Sample sample = arguments.SampleOf(arguments.gradient.buffer, 8);
    if (first.empty()) first = sample;
    EXPECT_EQ(sample, first) << threads << " threads";
  }
  halide_set_num_threads(0);
}

constexpr float kLimits[] = {1e16f, 1e8f, 1e4f, 1e16f};

TEST(AttentionRangeTest, HoldsFeaturesUpToTheLimitOfTheirKind) {
  for (const Layout layout : {Layout::kPlanar, Layout::kChannelsLast}) {
    for (const ActivationKind kind : kKinds) {
      for (const bool normalize : {true, false}) {
        Arguments a({.batch = 1,
                     .channels = 3,
                     .height = 40,
                     .width = 50,
                     .kind = kind,
                     .normalize = normalize,
                     .layout = layout});
        const float limit = kLimits[static_cast<int>(kind)];
        std::mt19937 random(7);
        a.features.buffer.for_each_value([&](float& f) { f = (random() % 4 == 0 ? 0.5f : -1) * limit; });
        ASSERT_EQ(a.Run(), absl::OkStatus());
        const Sample q = MapOracle(a.SampleOf(a.features.buffer, 0), a.p);
        const double largest = *std::max_element(q.begin(), q.end());
        for (int i = 0; i < 40 * 50; ++i) {
          EXPECT_NEAR(a.map(i % 50, i / 50, 0), q[static_cast<size_t>(i)], 1e-5 * largest);
        }
        for (const double slope : a.SampleOf(a.backward.buffer, 0)) EXPECT_TRUE(std::isfinite(slope));
        for (const double slope : a.SampleOf(a.gradient.buffer, 0)) EXPECT_TRUE(std::isfinite(slope));
      }
    }
  }
}

// A map of zeros would be plausible.
TEST(AttentionRangeTest, BeyondItTheMapIsNotANumber) {
  for (const Layout layout : {Layout::kPlanar, Layout::kChannelsLast}) {
    for (const ActivationKind kind :
         {ActivationKind::kMeanAbsolute, ActivationKind::kMeanSquare, ActivationKind::kMeanFourth}) {
      for (const bool normalize : {true, false}) {
        Arguments a({.kind = kind, .normalize = normalize, .layout = layout});
        a.features.buffer.sliced(3, 1).fill(1e4f * kLimits[static_cast<int>(kind)]);
        ASSERT_EQ(a.Run(), absl::OkStatus());
        EXPECT_TRUE(std::isnan(a.map(3, 1, 1))) << Name(a.p) << " " << a.map(3, 1, 1);
        EXPECT_TRUE(std::isnan(a.gradient.buffer(3, 1, 2, 1))) << Name(a.p);
        EXPECT_TRUE(std::isnan(a.loss(0))) << Name(a.p);
        EXPECT_FALSE(std::isnan(a.map(3, 1, 0))) << Name(a.p);
      }
    }
  }
}

TEST(AttentionDeviceTest, RowsWithGapsTakeWholeBlocksOfPlaces) {
  Arguments a({.channels = 1, .height = 58, .width = 70, .layout = Layout::kSlicePlanar});
  const testing::PretendedDeviceMemory pretended(a.Buffers());
  const Device device = {Device::Kind::kCuda};
  constexpr const char* kMessage =
      "features have 58x70 places in rows that do not follow each other, for which a GPU keeps 7424; permitted there "
      "are 4096";
  for (const absl::Status& status :
       {ActivationMap(a.features.buffer, {}, a.map, device),
        ActivationMapBackward(a.features.buffer, a.weight, {}, a.backward.buffer, device),
        AttentionTransfer(a.features.buffer, a.target, {}, {a.gradient.buffer, a.rows, a.loss}, device)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(kMessage));
  }
}

// Number of problems that come out wrong.
int WrongProblems() {
  int wrong = 0;
  for (const Problem& problem : Problems()) {
    Arguments arguments(problem);
    if (arguments.Run().ok() && arguments.Fault().empty()) continue;
    std::cerr << "wrong: " << Name(problem) << ": " << arguments.Fault() << std::endl;
    ++wrong;
  }
  return wrong;
}

class AttentionInstructionSetTest : public ::testing::TestWithParam<testing::InstructionSet> {};

TEST_P(AttentionInstructionSetTest, EqualsTheDefinition) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // A new process for each.
  constexpr int kFunctions = 12;                           // Three modes, two layouts, the square and any kind.
  EXPECT_EXIT(std::exit(testing::WrongOn(GetParam(), kFunctions, WrongProblems)), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Masks, AttentionInstructionSetTest, ::testing::ValuesIn(testing::InstructionSets()),
                         [](const auto& instance) { return instance.param.name; });

struct BadCall {
  std::string name;
  void (*spoil)(Arguments& arguments);
  std::string message;
};

class AttentionBadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(AttentionBadCallTest, IsRefused) {
  Arguments arguments(Problem{});
  GetParam().spoil(arguments);
  const absl::Status status = arguments.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_EQ(arguments.loss(0), kUntouched);
}

INSTANTIATE_TEST_SUITE_P(
    Calls, AttentionBadCallTest,
    ::testing::Values(BadCall{"FeaturesOfDoubles",
                              [](Arguments& a) { a.features.buffer.raw_buffer()->type = halide_type_of<double>(); },
                              "activation_map: features has 4 dimensions of f64; give 4 of f32"},
                      BadCall{"NoChannels", [](Arguments& a) { a.features.buffer.raw_buffer()->dim[2].extent = 0; },
                              "features have shape [2,0,3,7]; give C, H and W of at least 1"},
                      BadCall{"NegativeHeight",
                              [](Arguments& a) { a.features.buffer.raw_buffer()->dim[1].extent = -3; },
                              "features has -3 elements along dim[1]"},
                      BadCall{"NeitherLayout", [](Arguments& a) { a.features.buffer.raw_buffer()->dim[0].stride = 2; },
                              "features has strides 21 of C and 2 of W; one of them must be 1"},
                      BadCall{"UnknownKind", [](Arguments& a) { a.p.kind = static_cast<ActivationKind>(4); },
                              "there is no activation kind 4"},
                      BadCall{"MapTooWide", [](Arguments& a) { a.map = Buffer<float, 3>(8, 3, 2); },
                              "map has shape [2,3,8]; give [B,H,W] = [2,3,7]"},
                      BadCall{"MapGradientOfOtherBatch", [](Arguments& a) { a.weight = Buffer<float, 3>(7, 3, 1); },
                              "activation_map_backward: map_gradient has shape [1,3,7]; give [B,H,W] = [2,3,7]"},
                      BadCall{"TargetTransposed", [](Arguments& a) { a.target = Buffer<float, 3>(3, 7, 2); },
                              "attention_transfer: target has shape [2,7,3]"},
                      BadCall{"TargetMissing", [](Arguments& a) { a.target.raw_buffer()->host = nullptr; },
                              "attention_transfer: target has no memory on the host"},
                      BadCall{"GradientShared", [](Arguments& a) { a.backward.buffer.raw_buffer()->dim[3].stride = 0; },
                              "gradient has elements that share memory"},
                      BadCall{"GradientOfOtherLayout",
                              [](Arguments& a) { a.p.layout = Layout::kChannelsLast, a.backward = Block(a.p); },
                              "that of W must be 1, as in features"},
                      BadCall{"TooFewRows", [](Arguments& a) { a.rows = Buffer<float, 1>(1); },
                              "rows has shape [1]; give [B] = [2]"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::ops
