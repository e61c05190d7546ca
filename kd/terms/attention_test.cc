#include "retort/kd/terms/attention.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"
#include "retort/testing/gradient_check.h"

namespace retort::kd {
namespace {

config::Attention OnePair(config::Attention::Form form) {
  config::Attention config;
  config.set_form(form);
  config::TapPair* pair = config.add_pair();
  pair->set_student("conv2");
  pair->set_teacher("conv4");
  return config;
}

Step StepOf(const at::Tensor& student, const at::Tensor& teacher) {
  Step step;
  step.student.taps["conv2"] = student;
  step.teacher.taps["conv4"] = teacher;
  if (teacher.defined()) step.teacher.maps["conv4"] = teacher.square().mean(1);
  return step;
}

TermOf OfStudent(const config::Attention& config, const at::Tensor& teacher) {
  return [=](const at::Tensor& student) {
    return MakeAttention(config)->Compute(StepOf(student, teacher.to(student.scalar_type()))).value();
  };
}

TEST(AttentionTest, EqualsThePublishedValues) {
  const config::Attention config = OnePair(config::Attention::NORMALIZED_MEAN_SQUARE);
  const TermOf same_size = OfStudent(config, TeacherMap(8, 8));
  const TermOf pooled = OfStudent(config, TeacherMap(4, 4));
  for (const auto& [type, tolerance] : kPrecisions) {
    const at::Tensor student = StudentMap().to(type);
    EXPECT_NEAR(same_size(student).item<double>(), 2.1863983117e-05, tolerance * 2.1e-05);
    EXPECT_NEAR(GradientNorm(same_size, student), 8.41847366035e-05, tolerance * 8.4e-05);
    EXPECT_NEAR(pooled(student).item<double>(), 7.6963954498e-05, tolerance * 7.6e-05);
    EXPECT_NEAR(GradientNorm(pooled, student), 3.94340693914e-04, tolerance * 3.9e-04);
  }
}

TEST(AttentionFormTest, OfThePaperEqualsThePublishedValue) {
  const auto make = [] { return MakeAttention(OnePair(config::Attention::NORMALIZED_DISTANCE)); };
  const TermOf f = OfStudent(OnePair(config::Attention::NORMALIZED_DISTANCE), TeacherMap(8, 8));
  ExpectPublished(f, StudentMap(), 0.0374069172181, 0.0720179519154);
  ExpectGradient(f, StudentMap().slice(1, 0, 2));
  EXPECT_EQ(make()->Compute(StepOf(StudentMap(), StudentMap()))->item<double>(), 0);
  EXPECT_EQ(GradientNorm(OfStudent(OnePair(config::Attention::NORMALIZED_DISTANCE), StudentMap()), StudentMap()), 0);
}

// Where maps are pooled, the definition in plain loops: the map of each place, then means over groups of places.
TEST(AttentionFormTest, PoolsMapsOnRequest) {
  for (const int64_t teacher_side : {2, 4, 16}) {
    const at::Tensor teacher = TeacherMap(teacher_side, teacher_side);
    const int64_t side = std::min<int64_t>(8, teacher_side);
    const auto pooled = [side](const at::Tensor& x, int64_t b) {
      const int64_t group = x.size(2) / side;
      std::vector<double> map(side * side);
      for (int64_t i = 0; i < x.size(1) * x.size(2) * x.size(3); ++i) {
        const int64_t c = i / (x.size(2) * x.size(3)), h = i / x.size(3) % x.size(2), w = i % x.size(3);
        const double value = x[b][c][h][w].item<double>();
        map[h / group * side + w / group] += value * value / static_cast<double>(x.size(1) * group * group);
      }
      return map;
    };
    double square = 0, distance = 0;
    for (int64_t b = 0; b < 4; ++b) {
      const std::vector<double> s = pooled(StudentMap(), b), t = pooled(teacher, b);
      double s_length = 0, t_length = 0, squared = 0;
      for (size_t i = 0; i < s.size(); ++i) {
        square += (s[i] - t[i]) * (s[i] - t[i]) / static_cast<double>(4 * s.size());
        s_length += s[i] * s[i];
        t_length += t[i] * t[i];
      }
      for (size_t i = 0; i < s.size(); ++i) {
        squared += std::pow(s[i] / std::sqrt(s_length) - t[i] / std::sqrt(t_length), 2);
      }
      distance += std::sqrt(squared) / 4;
    }
    config::Attention config = OnePair(config::Attention::MEAN_SQUARE);
    config.set_pooling(config::Attention::MAP);
    EXPECT_NEAR(OfStudent(config, teacher)(StudentMap()).item<double>(), square, 1e-12 * square);
    EXPECT_NEAR(OfStudent(config, teacher)(StudentMap().to(at::kFloat)).item<double>(), square, 1e-5 * square);
    ExpectGradient(OfStudent(config, teacher.slice(0, 0, 1)), StudentMap().slice(0, 0, 1).slice(1, 0, 2));
    config.set_form(config::Attention::NORMALIZED_DISTANCE);
    EXPECT_NEAR(OfStudent(config, teacher)(StudentMap()).item<double>(), distance, 1e-12);
  }
}

// The definition of MEAN_SQUARE in plain loops; sizes must divide.
double ExpectedMeanSquare(const at::Tensor& student, const at::Tensor& teacher) {
  const int64_t height = std::min(student.size(2), teacher.size(2));
  const int64_t width = std::min(student.size(3), teacher.size(3));
  const auto attention = [&](const at::Tensor& x, int64_t b, int64_t h, int64_t w) {
    const int64_t rows = x.size(2) / height, columns = x.size(3) / width;
    const auto values = x.accessor<double, 4>();
    double map = 0;
    for (int64_t c = 0; c < x.size(1); ++c) {
      double mean = 0;
      for (int64_t i = 0; i < rows * columns; ++i) {
        mean += values[b][c][h * rows + i / columns][w * columns + i % columns] / static_cast<double>(rows * columns);
      }
      map += mean * mean / static_cast<double>(x.size(1));
    }
    return map;
  };
  double loss = 0;
  for (int64_t b = 0; b < student.size(0); ++b) {
    for (int64_t h = 0; h < height; ++h) {
      for (int64_t w = 0; w < width; ++w) {
        const double difference = attention(student, b, h, w) - attention(teacher, b, h, w);
        loss += difference * difference;
      }
    }
  }
  return loss / static_cast<double>(student.size(0) * height * width);
}

struct Case {
  std::string name;
  int64_t height;  // of the teacher's map; the student's is 8x8
  int64_t width;
};

class AttentionSizesTest : public ::testing::TestWithParam<Case> {
 protected:
  const at::Tensor teacher_ = TeacherMap(GetParam().height, GetParam().width);
};

TEST_P(AttentionSizesTest, MeanSquareEqualsItsDefinition) {
  const at::Tensor loss = OfStudent(OnePair(config::Attention::MEAN_SQUARE), teacher_)(StudentMap());
  const double expected = ExpectedMeanSquare(StudentMap(), teacher_);
  EXPECT_NEAR(loss.item<double>(), expected, 1e-12);
  const at::Tensor single = OfStudent(OnePair(config::Attention::MEAN_SQUARE), teacher_)(StudentMap().to(at::kFloat));
  EXPECT_NEAR(single.item<double>(), expected, 1e-5 * expected);
}

TEST_P(AttentionSizesTest, GradientsAreThoseOfCentralDifferences) {
  const at::Tensor student = StudentMap().slice(0, 0, 1).slice(1, 0, 2);
  const at::Tensor teacher = teacher_.slice(0, 0, 1);
  for (const auto form : {config::Attention::NORMALIZED_MEAN_SQUARE, config::Attention::MEAN_SQUARE}) {
    EXPECT_LT(testing::GradientError(OfStudent(OnePair(form), teacher), student), 1e-5) << form;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, AttentionSizesTest,
                         ::testing::Values(Case{"equal", 8, 8}, Case{"smaller_teacher", 4, 4}, Case{"one_place", 1, 1},
                                           Case{"larger_teacher", 16, 8}),
                         [](const auto& test) { return test.param.name; });

TEST(AttentionTest, SumsOverPairsAndAsksForEachTapOnce) {
  config::Attention config = OnePair(config::Attention::MEAN_SQUARE);
  const TermOf once = OfStudent(config, TeacherMap(8, 8));
  *config.add_pair() = config.pair(0);
  const TermOf twice = OfStudent(config, TeacherMap(8, 8));
  EXPECT_DOUBLE_EQ(twice(StudentMap()).item<double>(), 2 * once(StudentMap()).item<double>());
  EXPECT_EQ(MakeAttention(config)->needs().student.taps, std::vector<std::string>{"conv2"});
  EXPECT_EQ(MakeAttention(config)->needs().targets.taps, std::vector<std::string>{"conv4"});
}

TEST(AttentionTest, IsFiniteWhereEveryUnitIsDead) {
  const TermOf f = OfStudent(OnePair(config::Attention::NORMALIZED_MEAN_SQUARE), TeacherMap(8, 8));
  EXPECT_EQ(GradientNorm(f, at::zeros_like(StudentMap())), 0);
}

TEST(AttentionErrorTest, RefusesOtherBatches) {
  const auto term = MakeAttention(OnePair(config::Attention::MEAN_SQUARE));
  const absl::Status status = term->Compute(StepOf(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("[3,8,8,8]"), absl::string_view::npos) << status;
}

TEST(AttentionErrorTest, RefusesMapsOfWhichNeitherIsTheLarger) {
  const auto term = MakeAttention(OnePair(config::Attention::MEAN_SQUARE));
  EXPECT_EQ(term->Compute(StepOf(StudentMap(), TeacherMap(4, 16))).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(AttentionErrorTest, RefusesAMissingTap) {
  const auto term = MakeAttention(OnePair(config::Attention::MEAN_SQUARE));
  const absl::Status status = term->Compute(StepOf(StudentMap(), {})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("\"conv4\" nothing"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace retort::kd
