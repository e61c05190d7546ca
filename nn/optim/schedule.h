// The learning rate as a function of time.
#pragma once

#include <cstdint>

#include "retort/nn/optim/schedule.pb.h"

namespace retort::nn {

// A moment of a training of `epochs` of `steps` each. `epoch` and `step` of it are counted from 0.
struct TrainingTime {
  int64_t epoch, epochs;
  int64_t step, steps;
};

// Factor of `schedule` on the learning rate: linear warm-up, then the chosen shape over the rest.
double LearningRateFactor(const config::Schedule& schedule, const TrainingTime& time);

}  // namespace retort::nn
