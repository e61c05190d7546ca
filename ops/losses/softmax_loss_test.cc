#include "retort/ops/losses/softmax_loss.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <numeric>
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

#include "retort/ops/device.h"
#include "retort/ops/losses/softmax_loss_oracle.h"
#include "retort/testing/device_buffers.h"
#include "retort/testing/instruction_sets.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr float kUntouched = -12345.0f;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

enum class Loss { kCrossEntropy, kSoftCrossEntropy, kDistillKl, kCrossEntropyKl, kCrossEntropyTopK, kDkd };

constexpr Loss kLosses[] = {Loss::kCrossEntropy,   Loss::kSoftCrossEntropy, Loss::kDistillKl,
                            Loss::kCrossEntropyKl, Loss::kCrossEntropyTopK, Loss::kDkd};

std::string Name(Loss loss) {
  switch (loss) {
    case Loss::kCrossEntropy:
      return "CrossEntropy";
    case Loss::kSoftCrossEntropy:
      return "SoftCrossEntropy";
    case Loss::kDistillKl:
      return "DistillKl";
    case Loss::kCrossEntropyKl:
      return "CrossEntropyKl";
    case Loss::kCrossEntropyTopK:
      return "CrossEntropyTopK";
    case Loss::kDkd:
      return "Dkd";
  }
  return "";
}

struct Problem {
  Loss loss = Loss::kCrossEntropyKl;
  int batch = 3;
  int classes = 10;
  float temperature = 4;
  float smoothing = 0.1f;
  float weights[2] = {0.3f, 0.7f};  // alpha and beta of DKD
  int stored = 3;                   // k
  int spare = 0;                    // elements between rows
  float spread = 3;                 // standard deviation of the logits
  float peak = 0;                   // on top of the teacher's greatest
};

std::string Name(const Problem& p) {
  return absl::StrCat(Name(p.loss), "B", p.batch, "K", p.classes, "T", static_cast<int>(p.temperature), "Stored",
                      p.stored, "Spare", p.spare, "Spread", static_cast<int>(p.spread));
}

// Rows with `spare` untouched elements after each.
Buffer<float, 2> Matrix(int columns, int rows, int spare = 0) {
  Buffer<float, 2> whole(columns + spare, rows);
  whole.fill(kUntouched);
  return whole.cropped(0, 0, columns);
}

std::vector<double> Row(const Buffer<float, 2>& matrix, int b) {
  std::vector<double> row;
  for (int c = 0; c < matrix.width(); ++c) row.push_back(matrix(c, b));
  return row;
}

double Norm(const Buffer<float, 2>& matrix) {
  double sum = 0;
  matrix.for_each_value([&](float value) { sum += double{value} * value; });
  return std::sqrt(sum);
}

// The arguments of one call, filled at random from a fixed seed, and what they should give.
struct Arguments {
  explicit Arguments(const Problem& problem) : p(problem) {
    std::mt19937 random(29);
    std::normal_distribution<float> number(0, p.spread);
    std::uniform_real_distribution<float> share(0, 1);
    for (int b = 0; b < p.batch; ++b) {
      labels(b) = static_cast<int64_t>(random() % static_cast<uint32_t>(p.classes));
      std::vector<int32_t> order(static_cast<size_t>(p.classes));
      std::iota(order.begin(), order.end(), 0);
      for (int c = 0; c < p.classes; ++c) {
        logits(c, b) = number(random);
        teacher(c, b) = number(random);
        targets(c, b) = c % 3 == 0 ? 0 : share(random) / static_cast<float>(p.classes);
      }
      std::sort(order.begin(), order.end(), [&](int32_t i, int32_t j) { return teacher(i, b) > teacher(j, b); });
      teacher(order[0], b) += p.peak;
      double sum = 0;
      for (int c = 0; c < p.classes; ++c) sum += std::exp(teacher(c, b));
      log_sum_exp(b) = static_cast<float>(std::log(sum));
      for (int k = 0; k < p.stored; ++k) {
        indices(k, b) = order[static_cast<size_t>(k)];
        values(k, b) = teacher(order[static_cast<size_t>(k)], b);
      }
    }
    loss.fill(kUntouched);
  }

  int parts() const {
    return p.loss == Loss::kCrossEntropy || p.loss == Loss::kSoftCrossEntropy || p.loss == Loss::kDistillKl ? 1 : 2;
  }

  absl::Status Run(Device::Kind kind = Device::Kind::kHost) {
    for (halide_buffer_t* buffer :
         {logits.raw_buffer(), labels.raw_buffer(), teacher.raw_buffer(), targets.raw_buffer(), values.raw_buffer(),
          indices.raw_buffer(), log_sum_exp.raw_buffer(), gradient.raw_buffer(), rows.raw_buffer(),
          loss.raw_buffer()}) {
      if (p.batch > 0) testing::ToDevice(kind, buffer);
    }
    const absl::Status status = Call({kind});
    for (halide_buffer_t* buffer : {gradient.raw_buffer(), rows.raw_buffer(), loss.raw_buffer()}) {
      if (p.batch > 0) testing::ToHost(kind, buffer);
    }
    return status;
  }

  absl::Status Call(const Device& device) {
    const LossOutputs outputs = {gradient, rows, loss};
    const DistillParameters parameters = {p.smoothing, p.temperature, p.weights[0], p.weights[1]};
    switch (p.loss) {
      case Loss::kCrossEntropy:
        return CrossEntropy(logits, labels, p.smoothing, outputs, device);
      case Loss::kSoftCrossEntropy:
        return SoftCrossEntropy(logits, targets, outputs, device);
      case Loss::kDistillKl:
        return DistillKl(logits, teacher, p.temperature, outputs, device);
      case Loss::kCrossEntropyKl:
        return CrossEntropyKl(logits, labels, teacher, parameters, outputs, device);
      case Loss::kCrossEntropyTopK:
        return CrossEntropyTopK(logits, labels, {values, indices, log_sum_exp}, parameters, outputs, device);
      case Loss::kDkd:
        return Dkd(logits, teacher, labels, p.temperature, p.weights[0], p.weights[1], outputs, device);
    }
    return absl::InternalError("no such loss");
  }

  // The parts of row b, were its logits z.
  std::vector<double> Expected(int b, const std::vector<double>& z) const {
    const double t = p.temperature;
    switch (p.loss) {
      case Loss::kCrossEntropy:
        return {CrossEntropyOracle(z, labels(b), p.smoothing)};
      case Loss::kSoftCrossEntropy:
        return {SoftCrossEntropyOracle(z, Row(targets, b))};
      case Loss::kDistillKl:
        return {DistillKlOracle(z, Row(teacher, b), t)};
      case Loss::kCrossEntropyKl:
        return {CrossEntropyOracle(z, labels(b), p.smoothing), DistillKlOracle(z, Row(teacher, b), t)};
      case Loss::kCrossEntropyTopK: {
        std::vector<int32_t> index;
        for (int k = 0; k < p.stored; ++k) index.push_back(indices(k, b));
        return {CrossEntropyOracle(z, labels(b), p.smoothing),
                DistillKlOracle(z, UnpackOracle(p.classes, Row(values, b), index, log_sum_exp(b)), t)};
      }
      case Loss::kDkd:
        return {TargetClassOracle(z, Row(teacher, b), labels(b), t),
                OtherClassesOracle(z, Row(teacher, b), labels(b), t)};
    }
    return {};
  }

  double Total(const std::vector<double>& of_parts) const {
    return parts() == 1 ? of_parts[0] : p.weights[0] * of_parts[0] + p.weights[1] * of_parts[1];
  }

  // How far softmax_loss.h says that a top-k teacher's part of row b may be off, as a share of T^2.
  double Slack(int b) const {
    if (p.loss != Loss::kCrossEntropyTopK) return 0;
    std::vector<int32_t> index;
    for (int k = 0; k < p.stored; ++k) index.push_back(indices(k, b));
    const std::vector<double> t = UnpackOracle(p.classes, Row(values, b), index, log_sum_exp(b)),
                              at_one = LogSoftmaxOracle(t, 1), log_p = LogSoftmaxOracle(t, p.temperature),
                              log_q = LogSoftmaxOracle(Row(logits, b), p.temperature);
    double left = 0, share = 0, most = 0, ratio = 0;
    for (int32_t c = 0; c < p.classes; ++c) {
      const auto at = static_cast<size_t>(c);
      const bool is_stored = std::find(index.begin(), index.end(), c) != index.end();
      if (!is_stored) left += std::exp(at_one[at]), share += std::exp(log_p[at]);
      most = std::max(most, std::exp(at_one[at]));
      if (std::isfinite(log_p[at])) ratio = std::max(ratio, std::abs(log_p[at] - log_q[at]));
    }
    const double of_share = left > 0 ? 3e-7 * (most > 0.71 ? 1 - most : 1) * share / left * ratio / p.temperature : 0;
    return of_share + 6e-8 * std::ceil(p.classes / 16.0);
  }

  // What is wrong with the outputs; empty if nothing is.
  std::string Fault() const {
    const double tolerance = 1e-5, logarithm = std::max({1.0, std::log(p.classes), double{p.temperature}});
    const double weight = parts() == 1 ? 1 : std::max(std::abs(p.weights[0]), std::abs(p.weights[1]));
    const auto wrong = [&](double is, double should, double slack) {
      return !(std::abs(is - should) <=
               tolerance * std::max(logarithm, std::abs(should)) + slack * p.temperature * p.temperature);
    };
    double mean_slack = 0;
    std::vector<double> mean(3);
    for (int b = 0; b < p.batch; ++b) {
      const std::vector<double> z = Row(logits, b), expected = Expected(b, z);
      const double slack = Slack(b);
      mean_slack += slack / p.batch;
      for (int j = 0; j < parts(); ++j) {
        if (wrong(rows(j, b), expected[static_cast<size_t>(j)], slack)) {
          return absl::StrCat("part ", j, " of row ", b, " is ", rows(j, b), ", not ",
                              expected[static_cast<size_t>(j)]);
        }
        mean[static_cast<size_t>(j + 1)] += expected[static_cast<size_t>(j)] / p.batch;
      }
      mean[0] += Total(expected) / p.batch;
      // Every element of short rows, some of long ones.
      for (int c = 0; c < p.classes; c += std::max(1, p.classes / 40)) {
        const auto moved = [&](double step) {
          std::vector<double> point = z;
          point[static_cast<size_t>(c)] += step;
          return Total(Expected(b, point));
        };
        const double slope = (moved(1e-4) - moved(-1e-4)) / 2e-4 / p.batch;
        const double scale = weight * (p.loss == Loss::kCrossEntropy ? 1 : std::max(1.0f, p.temperature)) / p.batch;
        if (!(std::abs(gradient(c, b) - slope) <= (1e-6 + slack) * scale)) {
          return absl::StrCat("gradient of class ", c, " of row ", b, " is ", gradient(c, b), ", not ", slope);
        }
      }
    }
    for (int j = 0; j < loss.width(); ++j) {
      if (p.batch > 0 && wrong(loss(j), mean[static_cast<size_t>(j)], mean_slack)) {
        return absl::StrCat("loss ", j, " is ", loss(j), ", not ", mean[static_cast<size_t>(j)]);
      }
    }
    return "";
  }

  // The elements between rows.
  std::vector<float> Between() const {
    std::vector<float> values_between;
    for (int b = 0; b + 1 < p.batch; ++b) {
      for (int c = p.classes; c < p.classes + p.spare; ++c)
        values_between.push_back(gradient.data()[b * gradient.dim(1).stride() + c]);
    }
    return values_between;
  }

  Problem p;
  Buffer<float, 2> logits = Matrix(p.classes, p.batch, p.spare), teacher = Matrix(p.classes, p.batch, 2 * p.spare),
                   targets = Matrix(p.classes, p.batch, p.spare), values = Matrix(p.stored, p.batch, p.spare);
  Buffer<int32_t, 2> indices = Buffer<int32_t, 2>(p.stored, p.batch);
  Buffer<int64_t, 1> labels = Buffer<int64_t, 1>(p.batch);
  Buffer<float, 1> log_sum_exp = Buffer<float, 1>(p.batch);
  Buffer<float, 2> gradient = Matrix(p.classes, p.batch, p.spare), rows = Matrix(parts(), p.batch);
  Buffer<float, 1> loss = Buffer<float, 1>(parts() == 1 ? 1 : 3);
};

// Classes around the vectors of 16 and the blocks of 128, from the fewest to ImageNet-21k; batches of one and several
// parallel tasks.
std::vector<Problem> Problems() {
  std::vector<Problem> problems;
  for (const Loss loss : kLosses) {
    for (const int classes : {2, 3, 15, 16, 17, 33, 100, 127, 128, 129, 1000}) {
      problems.push_back({.loss = loss, .classes = classes, .stored = std::min(classes, 5)});
    }
    problems.push_back({.loss = loss, .batch = 2, .classes = 21841, .stored = 100, .spare = 3});
    problems.push_back({.loss = loss, .batch = 50, .classes = 700, .temperature = 1});
    for (const int batch : {1, 2, 300}) problems.push_back({.loss = loss, .batch = batch, .spare = 1});
    problems.push_back({.loss = loss, .temperature = 20, .smoothing = 0, .spare = 7});
    problems.push_back({.loss = loss, .classes = 40, .temperature = 1, .smoothing = 1, .spread = 30});
    problems.push_back({.loss = loss, .classes = 20, .temperature = 2, .stored = 20, .spread = 1});
  }
  return problems;
}

class SoftmaxLossTest : public ::testing::TestWithParam<std::tuple<Device::Kind, Problem>> {};

TEST_P(SoftmaxLossTest, EqualsItsDefinitionAndCentralDifferences) {
  const auto& [kind, problem] = GetParam();
  if (!testing::IsThere(kind)) GTEST_SKIP() << "no " << Name(kind) << " device here";
  Arguments arguments(problem);
  ASSERT_EQ(arguments.Run(kind), absl::OkStatus());
  EXPECT_EQ(arguments.Fault(), "");
  EXPECT_THAT(arguments.Between(), Each(kUntouched));
}

INSTANTIATE_TEST_SUITE_P(Sizes, SoftmaxLossTest,
                         ::testing::Combine(::testing::ValuesIn(testing::kDevices), ::testing::ValuesIn(Problems())),
                         [](const auto& instance) {
                           return absl::StrCat(Name(std::get<0>(instance.param)), Name(std::get<1>(instance.param)));
                         });

// Values and gradients of other implementations in float64, for B = 4 and K = 5.
struct Published {
  std::string name;
  Problem problem;
  std::vector<double> loss;
  double gradient_norm;
};

class SoftmaxLossPublishedTest : public ::testing::TestWithParam<std::tuple<Device::Kind, Published>> {};

// The logits of the published values.
void FillPublished(Arguments& a) {
  for (int b = 0; b < 4; ++b) {
    double sum = 0;
    for (int c = 0; c < 5; ++c) {
      a.logits(c, b) = static_cast<float>(3 * std::sin(0.7 * b + 1.3 * c + 0.2));
      a.teacher(c, b) = static_cast<float>(4 * std::cos(0.5 * b - 0.9 * c + 0.1));
      sum += std::exp(a.teacher(c, b));
    }
    a.log_sum_exp(b) = static_cast<float>(std::log(sum));
    std::vector<int32_t> order = {0, 1, 2, 3, 4};
    std::sort(order.begin(), order.end(), [&](int32_t i, int32_t j) { return a.teacher(i, b) > a.teacher(j, b); });
    for (int k = 0; k < a.p.stored; ++k) {
      a.indices(k, b) = order[static_cast<size_t>(k)];
      a.values(k, b) = a.teacher(a.indices(k, b), b);
    }
    for (int c = 0; c < 5; ++c) a.targets(c, b) = static_cast<float>(std::exp(a.teacher(c, b)) / sum);
    a.labels(b) = std::vector<int64_t>{0, 3, 1, 4}[static_cast<size_t>(b)];
  }
}

TEST_P(SoftmaxLossPublishedTest, IsMet) {
  const auto& [kind, published] = GetParam();
  if (!testing::IsThere(kind)) GTEST_SKIP() << "no " << Name(kind) << " device here";
  Arguments arguments(published.problem);
  FillPublished(arguments);
  ASSERT_EQ(arguments.Run(kind), absl::OkStatus());
  for (size_t j = 0; j < published.loss.size(); ++j) {
    EXPECT_NEAR(arguments.loss(static_cast<int>(j)), published.loss[j], 2e-6 * published.loss[j]) << j;
  }
  EXPECT_NEAR(Norm(arguments.gradient), published.gradient_norm, 1e-6 * published.gradient_norm);
}

INSTANTIATE_TEST_SUITE_P(
    Values, SoftmaxLossPublishedTest,
    ::testing::Combine(
        ::testing::ValuesIn(testing::kDevices),
        ::testing::Values(
            Published{"CrossEntropy",
                      {.loss = Loss::kCrossEntropy, .batch = 4, .classes = 5, .smoothing = 0},
                      {2.94439764397},
                      0.541482431941},
            Published{"SoftCrossEntropy",
                      {.loss = Loss::kSoftCrossEntropy, .batch = 4, .classes = 5},
                      {2.95898304804},
                      0.40844585696},
            Published{"KlT1",
                      {.loss = Loss::kDistillKl, .batch = 4, .classes = 5, .temperature = 1},
                      {2.14881077887},
                      0.40844585696},
            Published{"KlT2",
                      {.loss = Loss::kDistillKl, .batch = 4, .classes = 5, .temperature = 2},
                      {3.1845337876},
                      0.531258237024},
            Published{"KlT4",
                      {.loss = Loss::kDistillKl, .batch = 4, .classes = 5, .temperature = 4},
                      {3.99083614555},
                      0.613367842733},
            Published{"BothWithoutKl",
                      {.loss = Loss::kCrossEntropyKl, .batch = 4, .classes = 5, .smoothing = 0, .weights = {1, 0}},
                      {2.94439764397, 2.94439764397, 3.99083614555},
                      0.541482431941},
            Published{"BothWithoutCrossEntropy",
                      {.loss = Loss::kCrossEntropyKl, .batch = 4, .classes = 5, .smoothing = 0, .weights = {0, 1}},
                      {3.99083614555, 2.94439764397, 3.99083614555},
                      0.613367842733},
            // The published value of this one has the teacher's entropy in it; the gradient has not.
            Published{"TopTwo",
                      {.loss = Loss::kCrossEntropyTopK,
                       .batch = 4,
                       .classes = 5,
                       .temperature = 1,
                       .smoothing = 0,
                       .weights = {0, 1},
                       .stored = 2},
                      {},
                      0.409173741485},
            Published{"Dkd",
                      {.loss = Loss::kDkd, .batch = 4, .classes = 5, .weights = {1, 8}},
                      {27.4141671322, 1.43965025396, 3.24681460978},
                      4.8307917552},
            Published{"TargetClass",
                      {.loss = Loss::kDkd, .batch = 4, .classes = 5, .weights = {1, 0}},
                      {1.43965025396},
                      0.420029027163},
            Published{"OtherClasses",
                      {.loss = Loss::kDkd, .batch = 4, .classes = 5, .weights = {0, 1}},
                      {3.24681460978},
                      0.605107735076})),
    [](const auto& instance) {
      return absl::StrCat(Name(std::get<0>(instance.param)), std::get<1>(instance.param).name);
    });

TEST(SoftmaxLossTopKTest, SharesTheRestAsThePublishedValueDoes) {
  Arguments a({.loss = Loss::kCrossEntropyTopK, .batch = 4, .classes = 5, .temperature = 1, .stored = 2});
  FillPublished(a);
  ASSERT_EQ(a.Run(), absl::OkStatus());
  double entropy = 0;
  for (int b = 0; b < 4; ++b) {
    const std::vector<double> log_p =
        LogSoftmaxOracle(UnpackOracle(5, Row(a.values, b), {a.indices(0, b), a.indices(1, b)}, a.log_sum_exp(b)), 1);
    for (const double value : log_p) entropy -= std::exp(value) * value / 4;
  }
  EXPECT_NEAR(a.loss(2) + entropy, 2.97106188993, 1e-5);
}

class SoftmaxLossValuesTest : public ::testing::TestWithParam<Loss> {};

TEST_P(SoftmaxLossValuesTest, AnEmptyBatchWritesNothing) {
  Arguments arguments({.loss = GetParam(), .batch = 0});
  EXPECT_EQ(arguments.Run(), absl::OkStatus());
  EXPECT_EQ(arguments.loss(0), kUntouched);
}

TEST_P(SoftmaxLossValuesTest, GiveTheSameBitsForAnyNumberOfThreads) {
  std::vector<float> first;
  for (const int threads : {1, 2, 5}) {
    halide_set_num_threads(threads);
    Arguments arguments({.loss = GetParam(), .batch = 200, .classes = 300});
    ASSERT_EQ(arguments.Run(), absl::OkStatus());
    std::vector<float> all(arguments.gradient.begin(), arguments.gradient.end());
    all.push_back(arguments.loss(0));
    if (first.empty()) first = all;
    EXPECT_EQ(all, first) << threads << " threads";
  }
  halide_set_num_threads(0);
}

TEST_P(SoftmaxLossValuesTest, NaNAndInfinityMakeTheRowsLossNaNAndLeaveOthersAlone) {
  Arguments good({.loss = GetParam()});
  ASSERT_EQ(good.Run(), absl::OkStatus());
  for (const float value : {kNaN, kInfinity}) {
    Arguments arguments({.loss = GetParam()});
    const int label = static_cast<int>(arguments.labels(1));
    arguments.logits(label == 4 ? 7 : 4, 1) = value;  // No target is 0 there.
    ASSERT_EQ(arguments.Run(), absl::OkStatus());
    EXPECT_TRUE(std::isnan(arguments.loss(0))) << value;
    EXPECT_TRUE(std::isnan(arguments.rows(arguments.parts() - 1, 1))) << value;
    for (const int b : {0, 2}) {
      for (int j = 0; j < arguments.parts(); ++j) EXPECT_EQ(arguments.rows(j, b), good.rows(j, b)) << value;
      for (int c = 0; c < 10; ++c) EXPECT_EQ(arguments.gradient(c, b), good.gradient(c, b)) << value;
    }
  }
}

// Of any class, whatever weight its target has.
TEST_P(SoftmaxLossValuesTest, NaNOfEitherSideMakesTheLossNaN) {
  const bool has_teacher =
      GetParam() == Loss::kDistillKl || GetParam() == Loss::kCrossEntropyKl || GetParam() == Loss::kDkd;
  for (int c = 0; c < 10; ++c) {
    Arguments student({.loss = GetParam(), .smoothing = 0});
    student.logits(c, 1) = kNaN;
    ASSERT_EQ(student.Run(), absl::OkStatus());
    EXPECT_TRUE(std::isnan(student.loss(0))) << student.loss(0) << " of class " << c;
    if (!has_teacher) continue;
    Arguments teacher({.loss = GetParam(), .smoothing = 0});
    teacher.teacher(c, 1) = kNaN;
    ASSERT_EQ(teacher.Run(), absl::OkStatus());
    EXPECT_TRUE(std::isnan(teacher.loss(0))) << teacher.loss(0) << " of the teacher's class " << c;
  }
}

TEST_P(SoftmaxLossValuesTest, HoldForLargeLogits) {
  Arguments arguments({.loss = GetParam(), .classes = 30, .spread = 0.1f});
  for (int b = 0; b < 3; ++b) {
    for (int c = 0; c < 30; ++c) {
      arguments.logits(c, b) += 1e4f;
      arguments.teacher(c, b) -= 1e4f;
      for (int k = 0; k < 3 && c == 0; ++k) arguments.values(k, b) -= 1e4f;
    }
    arguments.log_sum_exp(b) -= 1e4f;
  }
  // The inputs as rounded are what the loss is of, but not the share that storage leaves.
  if (GetParam() == Loss::kCrossEntropyTopK) return;
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  EXPECT_EQ(arguments.Fault(), "");
}

INSTANTIATE_TEST_SUITE_P(Losses, SoftmaxLossValuesTest, ::testing::ValuesIn(kLosses),
                         [](const auto& instance) { return Name(instance.param); });

// Of any number of classes: 16 fill a vector, 10 do not.
TEST(SoftmaxLossInfinityTest, ARowOfNothingButMinusInfinityHasNoLoss) {
  for (const int classes : {10, 16}) {
    for (const bool student : {true, false}) {
      Arguments arguments({.loss = Loss::kCrossEntropyKl, .batch = 2, .classes = classes});
      for (int c = 0; c < classes; ++c) (student ? arguments.logits : arguments.teacher)(c, 1) = -kInfinity;
      ASSERT_EQ(arguments.Run(), absl::OkStatus());
      EXPECT_TRUE(std::isnan(arguments.loss(0))) << classes << (student ? " student" : " teacher");
      EXPECT_FALSE(std::isnan(arguments.rows(1, 0)));
    }
  }
}

TEST(SoftmaxLossInfinityTest, MinusInfinityIsProbabilityZero) {
  // Class 2 is impossible for both, class 5 for the teacher alone: neither adds to the loss.
  Arguments arguments({.loss = Loss::kCrossEntropyKl, .batch = 1, .smoothing = 0});
  arguments.labels(0) = 0;
  arguments.logits(2, 0) = arguments.teacher(2, 0) = arguments.teacher(5, 0) = -kInfinity;
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  const std::vector<double> expected = arguments.Expected(0, Row(arguments.logits, 0));
  EXPECT_NEAR(arguments.loss(1), expected[0], 1e-5);
  EXPECT_NEAR(arguments.loss(2), expected[1], 1e-4);
  EXPECT_EQ(arguments.gradient(2, 0), 0);
  // The label is: its loss is infinite.
  arguments.labels(0) = 2;
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  EXPECT_EQ(arguments.rows(0, 0), kInfinity);
  // Class 7 is for the student, not for the teacher.
  arguments.logits(7, 0) = -kInfinity;
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  EXPECT_EQ(arguments.rows(1, 0), kInfinity);
}

// What is left beside the stored classes: from all but a few hundredths down to 1e-5.
TEST(SoftmaxLossTopKTest, OfAPeakedTeacherHoldsAtHighTemperature) {
  for (const float temperature : {1.0f, 4.0f, 20.0f}) {
    for (const float peak : {0.0f, 2.0f, 4.0f, 6.0f, 8.0f, 10.0f}) {
      for (const int classes : {10, 100, 1000}) {
        Arguments a({.loss = Loss::kCrossEntropyTopK,
                     .classes = classes,
                     .temperature = temperature,
                     .stored = 5,
                     .spread = 1,
                     .peak = peak});
        ASSERT_EQ(a.Run(), absl::OkStatus());
        EXPECT_EQ(a.Fault(), "") << "T " << temperature << ", peak " << peak << ", K " << classes;
      }
    }
  }
}

TEST(SoftmaxLossInfinityTest, ALabelThatIsImpossibleForTheStudentHasAGradient) {
  Arguments a({.loss = Loss::kDkd, .batch = 1}), nearly({.loss = Loss::kDkd, .batch = 1});
  const int label = static_cast<int>(a.labels(0));
  a.logits(label, 0) = -kInfinity;
  nearly.logits(label, 0) = -1000;
  ASSERT_EQ(a.Run(), absl::OkStatus());
  ASSERT_EQ(nearly.Run(), absl::OkStatus());
  EXPECT_EQ(a.rows(0, 0), kInfinity);
  EXPECT_NEAR(a.rows(1, 0), a.Expected(0, Row(a.logits, 0))[1], 1e-4);
  for (int c = 0; c < 10; ++c) EXPECT_NEAR(a.gradient(c, 0), nearly.gradient(c, 0), 1e-6);
  // For the teacher, too.
  a.teacher(label, 0) = -kInfinity;
  ASSERT_EQ(a.Run(), absl::OkStatus());
  EXPECT_EQ(a.Fault(), "");
  // For the teacher alone.
  a.logits(label, 0) = 1;
  ASSERT_EQ(a.Run(), absl::OkStatus());
  EXPECT_EQ(a.Fault(), "");
}

// Number of problems that come out wrong.
int WrongProblems() {
  int wrong = 0;
  for (Problem problem : Problems()) {
    problem.batch = std::min(problem.batch, 4);
    Arguments arguments(problem);
    if (arguments.Run().ok() && arguments.Fault().empty()) continue;
    std::cerr << "wrong: " << Name(problem) << ": " << arguments.Fault() << std::endl;
    ++wrong;
  }
  for (const Loss loss : kLosses) {
    Arguments arguments({.loss = loss});
    arguments.logits(arguments.labels(1) == 4 ? 7 : 4, 1) = kNaN;
    if (arguments.Run().ok() && std::isnan(arguments.loss(0))) continue;
    std::cerr << "not NaN: " << Name(loss) << std::endl;
    ++wrong;
  }
  return wrong;
}

class SoftmaxLossInstructionSetTest : public ::testing::TestWithParam<testing::InstructionSet> {};

TEST_P(SoftmaxLossInstructionSetTest, EqualsTheDefinition) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // A new process for each.
  const int functions = static_cast<int>(std::size(kLosses));
  EXPECT_EXIT(std::exit(testing::WrongOn(GetParam(), functions, WrongProblems)), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Masks, SoftmaxLossInstructionSetTest, ::testing::ValuesIn(testing::InstructionSets()),
                         [](const auto& instance) { return instance.param.name; });

struct BadCall {
  std::string name;
  Loss loss;
  void (*spoil)(Arguments& arguments);
  absl::StatusCode code;
  std::string message;
};

class SoftmaxLossBadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(SoftmaxLossBadCallTest, IsRefusedAndLeavesTheOutputsAlone) {
  Arguments arguments(Problem{.loss = GetParam().loss});
  GetParam().spoil(arguments);
  const absl::Status status = arguments.Run();
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_EQ(arguments.loss(0), kUntouched);
}

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kRange = absl::StatusCode::kOutOfRange;

INSTANTIATE_TEST_SUITE_P(
    Calls, SoftmaxLossBadCallTest,
    ::testing::Values(BadCall{"LabelTooLarge", Loss::kCrossEntropy, [](Arguments& a) { a.labels(2) = 10; }, kRange,
                              "cross_entropy: labels[2] = 10, but there are 10 classes; permitted are 0..9"},
                      BadCall{"LabelNegative", Loss::kCrossEntropyKl, [](Arguments& a) { a.labels(0) = -100; }, kRange,
                              "cross_entropy_kl: labels[0] = -100"},
                      BadCall{"LabelBeyond32Bits", Loss::kDkd, [](Arguments& a) { a.labels(1) = int64_t{1} << 32; },
                              kRange, "dkd: labels[1] = 4294967296"},
                      BadCall{"IndexTooLarge", Loss::kCrossEntropyTopK, [](Arguments& a) { a.indices(1, 2) = 10; },
                              kRange, "cross_entropy_top_k: indices[2,1] = 10, but there are 10 classes"},
                      BadCall{"TemperatureZero", Loss::kDistillKl, [](Arguments& a) { a.p.temperature = 0; }, kInvalid,
                              "distill_kl: temperature is 0; permitted are finite numbers above 0"},
                      BadCall{"TemperatureNaN", Loss::kDkd, [](Arguments& a) { a.p.temperature = kNaN; }, kInvalid,
                              "temperature is nan"},
                      BadCall{"SmoothingAboveOne", Loss::kCrossEntropy, [](Arguments& a) { a.p.smoothing = 1.5f; },
                              kInvalid, "label_smoothing is 1.5; permitted is 0..1"},
                      BadCall{"WeightInfinite", Loss::kCrossEntropyKl, [](Arguments& a) { a.p.weights[1] = kInfinity; },
                              kInvalid, "soft_weight is inf"},
                      BadCall{"OtherClasses", Loss::kCrossEntropyKl, [](Arguments& a) { a.teacher = Matrix(11, 3); },
                              kInvalid, "teacher has shape [3,11]; give [B,K] = [3,10]"},
                      BadCall{"OtherBatch", Loss::kSoftCrossEntropy, [](Arguments& a) { a.targets = Matrix(10, 2); },
                              kInvalid, "targets has shape [2,10]; give [B,K] = [3,10]"},
                      BadCall{"ClassesApart", Loss::kCrossEntropy,
                              [](Arguments& a) { a.logits.raw_buffer()->dim[0].stride = 2; }, kInvalid,
                              "logits has stride 2 within a row; it must be 1"},
                      BadCall{"LogitsOfDoubles", Loss::kCrossEntropy,
                              [](Arguments& a) { a.logits.raw_buffer()->type = halide_type_of<double>(); }, kInvalid,
                              "logits has 2 dimensions of f64; give 2 of f32"},
                      BadCall{"LogitsMissing", Loss::kCrossEntropy,
                              [](Arguments& a) { a.logits.raw_buffer()->host = nullptr; }, kInvalid,
                              "logits has no memory on the host"},
                      BadCall{"RowsOfGradientShared", Loss::kDistillKl,
                              [](Arguments& a) { a.gradient.raw_buffer()->dim[1].stride = 9; }, kInvalid,
                              "gradient has elements that share memory"},
                      BadCall{"TooManyStored", Loss::kCrossEntropyTopK, [](Arguments& a) { a.values = Matrix(11, 3); },
                              kInvalid, "values hold 11 of 10 classes; give 1..10"},
                      BadCall{"OneClassOfDkd", Loss::kDkd, [](Arguments& a) { a.logits = Matrix(1, 3); }, kInvalid,
                              "logits have 1 classes; give at least 2"},
                      BadCall{"NoClasses", Loss::kCrossEntropy, [](Arguments& a) { a.logits = Matrix(0, 3); }, kInvalid,
                              "logits have 0 classes; give at least 1"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::ops
