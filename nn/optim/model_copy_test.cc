#include "retort/nn/optim/model_copy.h"

#include <cmath>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "gtest/gtest.h"

namespace retort::nn {
namespace {

// A weight, a running mean and a count of batches.
class Three final : public Model {
 public:
  Outputs Forward(const at::Tensor&, const Request&) override { return {}; }
  std::vector<std::string> TapNames() const override { return {}; }
  std::vector<NamedTensor> Parameters() const override { return {{"weight", weight_}}; }
  std::vector<NamedTensor> Buffers() const override { return {{"mean", mean_}, {"batches", batches_}}; }
  void SetTraining(bool) override {}

  // All three become functions of the step.
  void Move(int step) {
    weight_.detach().fill_(Weight(step));
    mean_.fill_(Mean(step));
    batches_.fill_(step);
  }
  static double Weight(int step) { return std::sin(step); }
  static double Mean(int step) { return std::cos(step); }

  at::Tensor weight_ = at::full({2}, Weight(0), at::kDouble).set_requires_grad(true);
  at::Tensor mean_ = at::full({3}, Mean(0), at::kDouble), batches_ = at::full({}, 0, at::kLong);
};

TEST(ModelCopyTest, AveragesWeightsAndStatisticsAndCopiesCounts) {
  Three model;
  ModelCopy copy(model);
  double weight = Three::Weight(0), mean = Three::Mean(0);
  for (int step = 1; step <= 20; ++step) {
    model.Move(step);
    copy.MoveTowardsModel(0.1);
    weight = 0.9 * weight + 0.1 * Three::Weight(step);
    mean = 0.9 * mean + 0.1 * Three::Mean(step);
  }
  copy.Exchange();
  EXPECT_NEAR(model.weight_[1].item<double>(), weight, 1e-14);
  EXPECT_NEAR(model.mean_[2].item<double>(), mean, 1e-14);
  EXPECT_EQ(model.batches_.item<int64_t>(), 20);
  EXPECT_TRUE(model.weight_.requires_grad());
  copy.Exchange();
  EXPECT_EQ(model.weight_[0].item<double>(), Three::Weight(20));
  EXPECT_EQ(model.mean_[0].item<double>(), Three::Mean(20));
}

TEST(ModelCopyTest, OfShareOneIsTheModel) {
  Three model;
  ModelCopy copy(model);
  model.Move(5);
  copy.MoveTowardsModel(1);
  model.Move(9);
  copy.Exchange();
  EXPECT_EQ(model.weight_[1].item<double>(), Three::Weight(5));
  EXPECT_EQ(model.batches_.item<int64_t>(), 5);
}

TEST(ModelCopyTest, StateIsNamedAndShared) {
  Three model;
  ModelCopy copy(model);
  ASSERT_EQ(copy.State().size(), 3u);
  EXPECT_EQ(copy.State()[1].first, "mean");
  copy.State()[1].second.fill_(7);
  copy.Exchange();
  EXPECT_EQ(model.mean_[0].item<double>(), 7);
}

}  // namespace
}  // namespace retort::nn
