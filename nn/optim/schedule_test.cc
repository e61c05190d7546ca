#include "retort/nn/optim/schedule.h"

#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace retort::nn {
namespace {

struct ScheduleCase {
  std::string name;
  std::string config;
  int64_t epoch;
  int64_t epochs;
  double learning_rate;  // for a base rate of 5e-4
  int64_t step = 0;      // of 4
};

class LearningRateFactorTest : public ::testing::TestWithParam<ScheduleCase> {};

TEST_P(LearningRateFactorTest, GivesTheExpectedRate) {
  config::Schedule schedule;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().config, &schedule));
  const TrainingTime time = {GetParam().epoch, GetParam().epochs, GetParam().step, /*steps=*/4};
  EXPECT_NEAR(5e-4 * LearningRateFactor(schedule, time), GetParam().learning_rate, 5e-9);
}

// Those named multi_view are the learning rates of anguskk109/VIT-DISTILL, distill_train.py and scratch_train.py; the
// others of MultiStepLR, LinearLR, OneCycleLR, CosineAnnealingLR and SequentialLR of PyTorch 2.11, at that step.
INSTANTIATE_TEST_SUITE_P(
    Epochs, LearningRateFactorTest,
    ::testing::Values(
        ScheduleCase{"default_is_constant", "", 7, 10, 5e-4},
        ScheduleCase{"constant_after_warmup", "warmup_epochs: 4 warmup_start: 0 constant {}", 1, 10, 1.25e-4},
        ScheduleCase{"multi_view_500_first", "warmup_epochs: 10 cosine {}", 0, 500, 5.0e-5},
        ScheduleCase{"multi_view_500_warm", "warmup_epochs: 10 cosine {}", 10, 500, 5.0e-4},
        ScheduleCase{"multi_view_500_early", "warmup_epochs: 10 cosine {}", 100, 500, 4.5952e-4},
        ScheduleCase{"multi_view_500_late", "warmup_epochs: 10 cosine {}", 399, 500, 5.061e-5},
        ScheduleCase{"multi_view_400_half", "warmup_epochs: 10 cosine {}", 200, 400, 2.6007e-4},
        ScheduleCase{"multi_view_400_late", "warmup_epochs: 10 cosine {}", 314, 400, 5.763e-5},
        ScheduleCase{"cosine_to_a_fraction", "cosine { final_fraction: 0.2 }", 5, 10, 3e-4},
        ScheduleCase{"multi_step_before", "multi_step { epoch: [150, 180, 210] }", 149, 240, 5e-4},
        ScheduleCase{"multi_step_first", "multi_step { epoch: [150, 180, 210] }", 150, 240, 5e-5},
        ScheduleCase{"multi_step_second", "multi_step { epoch: [150, 180, 210] }", 209, 240, 5e-6},
        ScheduleCase{"multi_step_third", "multi_step { epoch: [150, 180, 210] }", 210, 240, 5e-7},
        ScheduleCase{"linear", "linear { final_fraction: 0.2 }", 3, 10, 3.8e-4},
        ScheduleCase{"linear_late", "linear { final_fraction: 0.2 }", 9, 10, 1.4e-4},
        ScheduleCase{"one_cycle_first", "per: STEP one_cycle {}", 0, 10, 2e-5},
        ScheduleCase{"one_cycle_rising", "per: STEP one_cycle {}", 1, 10, 2.25844e-4, 1},
        ScheduleCase{"one_cycle_top", "per: STEP one_cycle {}", 2, 10, 5e-4, 3},
        ScheduleCase{"one_cycle_falling", "per: STEP one_cycle {}", 6, 10, 2.50001e-4, 1},
        ScheduleCase{"one_cycle_last", "per: STEP one_cycle {}", 9, 10, 1.57394e-6, 2},
        ScheduleCase{"one_cycle_of_epochs_rising", "one_cycle { rising: 0.5 initial_divisor: 10 final_divisor: 100 }",
                     4, 20, 2.35929e-4, 3},
        ScheduleCase{"one_cycle_of_epochs_falling", "one_cycle { rising: 0.5 initial_divisor: 10 final_divisor: 100 }",
                     18, 20, 1.27236e-5},
        ScheduleCase{"cosine_of_steps", "per: STEP cosine {}", 5, 10, 2.3038523e-4, 1},
        ScheduleCase{"cosine_of_epochs_knows_no_steps", "cosine {}", 5, 10, 2.5e-4, 1},
        ScheduleCase{"warm_up_of_steps", "per: STEP warmup_epochs: 2 cosine {}", 0, 10, 2.1875e-4, 3},
        ScheduleCase{"warm_up_of_steps_ends", "per: STEP warmup_epochs: 2 cosine {}", 2, 10, 5e-4},
        ScheduleCase{"cosine_of_steps_after_it", "per: STEP warmup_epochs: 2 cosine {}", 5, 10, 3.4567086e-4},
        ScheduleCase{"cosine_of_steps_last", "per: STEP warmup_epochs: 2 cosine {}", 9, 10, 1.2038183e-6, 3}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace retort::nn
