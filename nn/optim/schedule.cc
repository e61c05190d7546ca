#include "retort/nn/optim/schedule.h"

#include <algorithm>
#include <cmath>

namespace retort::nn {
namespace {

// From `first` to `last` by half a cosine; `progress` 0..1.
double Anneal(double first, double last, double progress) {
  return last + (first - last) * 0.5 * (1 + std::cos(M_PI * progress));
}

// At moment `now` of `all`.
double OneCycleFactor(const config::OneCycle& cycle, double now, double all) {
  const double initial = 1 / cycle.initial_divisor();
  const double top = cycle.rising() * all - 1;
  if (now <= top) return Anneal(initial, 1, now / top);
  return Anneal(1, initial / cycle.final_divisor(), (now - top) / std::max(1.0, all - 1 - top));
}

}  // namespace

double LearningRateFactor(const config::Schedule& schedule, const TrainingTime& time) {
  // All in units of the schedule: epochs or steps.
  const bool by_step = schedule.per() == config::Schedule::STEP;
  const auto unit = static_cast<double>(by_step ? time.steps : 1);
  const double now = static_cast<double>(time.epoch) * unit + static_cast<double>(by_step ? time.step : 0);
  const double all = static_cast<double>(time.epochs) * unit;
  const double warmup = schedule.warmup_epochs() * unit;
  if (now < warmup) return schedule.warmup_start() + (1 - schedule.warmup_start()) * now / warmup;
  const double progress = (now - warmup) / (all - warmup);
  switch (schedule.shape_case()) {
    case config::Schedule::kCosine:
      return Anneal(1, schedule.cosine().final_fraction(), progress);
    case config::Schedule::kMultiStep: {
      const auto& epochs = schedule.multi_step().epoch();
      const auto passed =
          std::count_if(epochs.begin(), epochs.end(), [&](int32_t epoch) { return time.epoch >= epoch; });
      return std::pow(schedule.multi_step().gamma(), static_cast<double>(passed));
    }
    case config::Schedule::kLinear:
      return 1 + (schedule.linear().final_fraction() - 1) * progress;
    case config::Schedule::kOneCycle:
      return OneCycleFactor(schedule.one_cycle(), now, all);
    case config::Schedule::kConstant:
    case config::Schedule::SHAPE_NOT_SET:
      break;
  }
  return 1;
}

}  // namespace retort::nn
