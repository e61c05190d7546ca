#include "retort/kd/evaluate.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"

#include "retort/kd/testing/tiny_training.h"

namespace retort::kd {
namespace {

using testing::kClasses;
using testing::TinyModel;
using testing::TinyTraining;

class EvaluateTest : public ::testing::TestWithParam<int64_t> {};

// Against image by image in plain scalar code.
TEST_P(EvaluateTest, CountsAsScalarCodeDoes) {
  const int64_t batch_size = GetParam();
  const TinyTraining tiny;
  TinyModel model(5, 0.4);
  const std::vector<int64_t> index = {3, 0, 21, 7, 8, 9, 10, 11, 12, 13, 20};

  Evaluation expected;
  expected.images = 11;
  expected.confusion.assign(kClasses * kClasses, 0);
  model.SetTraining(false);
  int64_t correct = 0;
  for (const int64_t image : index) {
    const at::Tensor logits = model.Forward(tiny.evaluator->Assemble({image}, {0})->images[0], {}).logits.detach();
    const float* const values = logits.const_data_ptr<float>();
    int64_t best = 0;
    double sum = 0;
    for (int64_t k = 0; k < kClasses; ++k) {
      if (values[k] > values[best]) best = k;
      sum += std::exp(static_cast<double>(values[k]));
    }
    const int64_t label = tiny.dataset.labels[image];
    expected.loss += (std::log(sum) - values[label]) / 11;
    correct += best == label;
    ++expected.confusion[label * kClasses + best];
  }
  model.SetTraining(true);
  ASSERT_GT(correct, 0);
  ASSERT_LT(correct, 11);

  const auto got = Evaluate(model, *tiny.evaluator, index, kClasses, batch_size);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->images, expected.images);
  EXPECT_DOUBLE_EQ(got->accuracy, static_cast<double>(correct) / 11);
  EXPECT_NEAR(got->loss, expected.loss, 1e-6);
  EXPECT_EQ(got->confusion, expected.confusion);
  EXPECT_TRUE(model.training());
  EXPECT_TRUE(model.dropped().empty());
}

INSTANTIATE_TEST_SUITE_P(BatchSizes, EvaluateTest, ::testing::Values(1, 4, 11, 100));

// Answers with the next rows of its tables, whatever the images are.
class RecitingModel final : public nn::Model {
 public:
  RecitingModel(at::Tensor logits, at::Tensor embedding)
      : logits_(std::move(logits)), embedding_(std::move(embedding)) {}

  nn::Outputs Forward(const at::Tensor& images, const nn::Request& request) override {
    nn::Outputs outputs;
    const int64_t end = next_ + images.size(0);
    outputs.logits = logits_.slice(0, next_, end);
    if (request.embedding) outputs.embedding = embedding_.slice(0, next_, end);
    next_ = end == logits_.size(0) ? 0 : end;
    return outputs;
  }
  std::vector<std::string> TapNames() const override { return {}; }
  std::vector<nn::NamedTensor> Parameters() const override { return {}; }
  std::vector<nn::NamedTensor> Buffers() const override { return {}; }
  void SetTraining(bool training) override { training_ = training; }
  bool training() const { return training_; }

 private:
  const at::Tensor logits_, embedding_;
  int64_t next_ = 0;
  bool training_ = true;
};

// Black images of these labels.
struct Labelled {
  Labelled(const std::vector<int64_t>& labels, int64_t classes)
      : dataset(data::MakeDataset(std::vector<uint8_t>(labels.size()), labels, 1, 1, 1,
                                  std::vector<std::string>(static_cast<size_t>(classes), "class"))
                    .value()),
        batcher(data::Batcher::Create(&dataset, data::ViewPlan::Create({}, 0).value(), {{0.0}, {1.0}},
                                      data::Batcher::Layout::kContiguous)
                    .value()) {
    for (size_t i = 0; i < labels.size(); ++i) index.push_back(static_cast<int64_t>(i));
  }
  data::Dataset dataset;
  data::Batcher batcher;
  std::vector<int64_t> index;
};

at::Tensor Table(const std::vector<std::vector<double>>& rows) {
  std::vector<at::Tensor> tensors;
  for (const std::vector<double>& row : rows) tensors.push_back(at::tensor(row, at::kDouble));
  return at::stack(tensors);
}

// Logits of kd/terms/fixtures.h; values computed in float64 by others' code.
TEST(FidelityTest, EqualsThePublishedValues) {
  std::vector<std::vector<double>> student(4), teacher(4);
  for (int b = 0; b < 4; ++b) {
    for (int c = 0; c < 5; ++c) {
      student[b].push_back(3 * std::sin(0.7 * b + 1.3 * c + 0.2));
      teacher[b].push_back(4 * std::cos(0.5 * b - 0.9 * c + 0.1));
    }
  }
  const Labelled labelled({0, 3, 1, 4}, 5);
  RecitingModel model(Table(student), Table(student)), other(Table(teacher), Table(teacher));
  const Evaluation got =
      Evaluate(model, labelled.batcher, labelled.index, 5, 3, Beholder{&other, &labelled.batcher}).value();
  EXPECT_EQ(got.accuracy, 0.25);
  EXPECT_NEAR(got.loss, 2.94439764397, 1e-10);
  ASSERT_TRUE(got.fidelity.has_value());
  EXPECT_EQ(got.fidelity->teacher.accuracy, 0.5);
  EXPECT_EQ(got.fidelity->agreement, 0.25);
  EXPECT_NEAR(got.fidelity->kl, 2.14881077887, 1e-10);
  EXPECT_TRUE(model.training());
  EXPECT_TRUE(other.training());
}

using Rows = std::vector<std::vector<double>>;

Rows RandomRows(std::mt19937* random, size_t rows, size_t columns, double mean) {
  std::normal_distribution<double> normal(mean, 2);
  Rows all(rows, std::vector<double>(columns));
  for (std::vector<double>& row : all) {
    for (double& value : row) value = normal(*random);
  }
  return all;
}

std::vector<double> Softmax(const std::vector<double>& logits) {
  double sum = 0;
  for (const double z : logits) sum += std::exp(z);
  std::vector<double> p;
  for (const double z : logits) p.push_back(std::exp(z) / sum);
  return p;
}

size_t Best(const std::vector<double>& row) {
  return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

// Bin by bin, by its definition.
double ScalarEce(const Rows& logits, const std::vector<int64_t>& labels) {
  double ece = 0;
  for (int m = 1; m <= 15; ++m) {
    double size = 0, correct = 0, confidence = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const std::vector<double> p = Softmax(logits[i]);
      const double greatest = p[Best(p)];
      if (greatest <= (m - 1) / 15.0 || greatest > m / 15.0) continue;
      ++size;
      confidence += greatest;
      correct += static_cast<int64_t>(Best(p)) == labels[i];
    }
    if (size > 0) ece += size / static_cast<double>(logits.size()) * std::abs(correct / size - confidence / size);
  }
  return ece;
}

// K[i,j] = x_i.x_j, less the means of rows and columns.
Rows CentredGram(const Rows& x) {
  const size_t n = x.size();
  Rows gram(n, std::vector<double>(n));
  std::vector<double> mean(n);
  double total = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      for (size_t d = 0; d < x[i].size(); ++d) gram[i][j] += x[i][d] * x[j][d];
      mean[i] += gram[i][j] / static_cast<double>(n);
      total += gram[i][j] / static_cast<double>(n * n);
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) gram[i][j] += total - mean[i] - mean[j];
  }
  return gram;
}

double Inner(const Rows& a, const Rows& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a.size(); ++j) sum += a[i][j] * b[i][j];
  }
  return sum;
}

class EvaluateFidelityTest : public ::testing::TestWithParam<int64_t> {};

// Each image is in one bin, and what the bins say gives accuracy and calibration error again.
void ExpectCalibration(const Evaluation& got, const Rows& logits, const std::vector<int64_t>& labels) {
  ASSERT_EQ(got.calibration.size(), 15u);
  const auto count = static_cast<double>(labels.size());
  double images = 0, correct = 0, error = 0;
  for (size_t m = 0; m < 15; ++m) {
    const CalibrationBin& bin = got.calibration[m];
    images += static_cast<double>(bin.images);
    correct += static_cast<double>(bin.correct);
    error += std::abs(static_cast<double>(bin.correct) - bin.confidence) / count;
    EXPECT_LE(bin.correct, bin.images);
    EXPECT_GE(bin.confidence, static_cast<double>(bin.images * static_cast<int64_t>(m)) / 15);
    EXPECT_LE(bin.confidence, static_cast<double>(bin.images * static_cast<int64_t>(m + 1)) / 15 + 1e-12);
  }
  EXPECT_EQ(images, count);
  EXPECT_NEAR(correct / count, got.accuracy, 1e-12);
  EXPECT_NEAR(error, ScalarEce(logits, labels), 1e-12);
}

// Calibration, divergence and alignment (by N x N matrices of images, where Evaluate has those of features) in scalar
// code.
TEST_P(EvaluateFidelityTest, EqualsScalarCode) {
  constexpr size_t kImages = 37, kMany = 6;
  std::mt19937 random(3);
  std::vector<int64_t> labels;
  for (size_t i = 0; i < kImages; ++i) labels.push_back(static_cast<int64_t>(random() % kMany));
  const Rows student = RandomRows(&random, kImages, kMany, 0), teacher = RandomRows(&random, kImages, kMany, 0);
  const Rows narrow = RandomRows(&random, kImages, 4, 1), wide = RandomRows(&random, kImages, 9, -30);
  double kl = 0, agreement = 0;
  for (size_t i = 0; i < kImages; ++i) {
    const std::vector<double> p = Softmax(teacher[i]), q = Softmax(student[i]);
    for (size_t c = 0; c < kMany; ++c) kl += p[c] * std::log(p[c] / q[c]) / kImages;
    agreement += Best(p) == Best(q) ? 1.0 / kImages : 0;
  }
  const Rows k = CentredGram(narrow), l = CentredGram(wide);
  const Labelled labelled(labels, kMany);
  RecitingModel model(Table(student), Table(narrow)), other(Table(teacher), Table(wide));
  const Evaluation got =
      Evaluate(model, labelled.batcher, labelled.index, kMany, GetParam(), Beholder{&other, &labelled.batcher}).value();
  EXPECT_NEAR(got.ece, ScalarEce(student, labels), 1e-12);
  ExpectCalibration(got, student, labels);
  EXPECT_NEAR(got.fidelity->teacher.ece, ScalarEce(teacher, labels), 1e-12);
  EXPECT_GT(got.ece, 0.05);
  EXPECT_NEAR(got.fidelity->kl, kl, 1e-12);
  EXPECT_NEAR(got.fidelity->agreement, agreement, 1e-12);
  EXPECT_NEAR(got.fidelity->cka, Inner(k, l) / std::sqrt(Inner(k, k) * Inner(l, l)), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(BatchSizes, EvaluateFidelityTest, ::testing::Values(1, 5, 37));

TEST(EvaluateCalibrationTest, KnowsTheEndsOfItsBins) {
  // Confidence 1 of a right and a wrong answer: |1/2 - 1|; and 1/2 of two classes, both right.
  const Labelled labelled({0, 1, 0, 0}, 2);
  RecitingModel model(Table({{800, 0}, {800, 0}, {0, 0}, {0, 0}}), at::Tensor());
  EXPECT_NEAR(Evaluate(model, labelled.batcher, labelled.index, 2, 4)->ece, 0.5 * 0.5 + 0.5 * 0.5, 1e-12);
}

TEST(FidelityTest, OfATeacherWithItselfIsWhole) {
  std::mt19937 random(4);
  const Rows logits = RandomRows(&random, 20, 3, 0), embedding = RandomRows(&random, 20, 5, 2);
  const Labelled labelled(std::vector<int64_t>(20, 1), 3);
  // Alignment knows neither scale nor place.
  RecitingModel model(Table(logits), Table(embedding)), other(Table(logits), Table(embedding) * -3 + 7);
  const Evaluation got =
      Evaluate(model, labelled.batcher, labelled.index, 3, 7, Beholder{&other, &labelled.batcher}).value();
  EXPECT_EQ(got.fidelity->agreement, 1);
  EXPECT_NEAR(got.fidelity->kl, 0, 1e-14);
  EXPECT_NEAR(got.fidelity->cka, 1, 1e-12);
  RecitingModel constant(Table(logits), at::zeros({20, 2}, at::kDouble));
  EXPECT_TRUE(std::isnan(
      Evaluate(model, labelled.batcher, labelled.index, 3, 7, Beholder{&constant, &labelled.batcher})->fidelity->cka));
}

TEST(EvaluateErrorTest, NamesTheTeacher) {
  const Labelled labelled({0, 1}, 2);
  RecitingModel model(Table({{1, 0}, {0, 1}}), Table({{1}, {2}}));
  RecitingModel wide(Table({{1, 0, 0}, {0, 1, 0}}), Table({{1}, {2}})),
      nan(Table({{1, NAN}, {0, 1}}), Table({{1}, {2}}));
  const auto message = [&](RecitingModel* teacher) {
    return std::string(Evaluate(model, labelled.batcher, labelled.index, 2, 2, Beholder{teacher, &labelled.batcher})
                           .status()
                           .message());
  };
  EXPECT_EQ(message(&wide), "the teacher's logits are [2,3], and the data set has 2 classes");
  EXPECT_EQ(message(&nan).find("the teacher's logits are NaN"), 0u);
}

TEST(EvaluateErrorTest, NamesWhatIsWrong) {
  const TinyTraining tiny;
  TinyModel model(5, 0.4);
  const std::vector<int64_t> index = {1, 2};
  EXPECT_EQ(Evaluate(model, *tiny.evaluator, {}, kClasses, 4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Evaluate(model, *tiny.evaluator, index, kClasses, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Evaluate(model, *tiny.evaluator, index, 10, 4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Evaluate(model, *tiny.evaluator, {100}, kClasses, 4).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(model.training());
  model.Parameters()[3].second.data().fill_(NAN);
  EXPECT_EQ(Evaluate(model, *tiny.evaluator, index, kClasses, 4).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(model.training());
}

}  // namespace
}  // namespace retort::kd
