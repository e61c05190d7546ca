#include "retort/kd/evaluate.h"

#include <cmath>
#include <vector>

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
