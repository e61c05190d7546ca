#include "retort/kd/terms/fsp.h"

#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/mse_loss.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/shapes.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class Fsp final : public Term {
 public:
  explicit Fsp(const config::Fsp& config) : config_(config) {}

  const char* name() const override { return "fsp"; }

  Needs needs() const override { return TapNeeds(config_.pair()); }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (int i = 0; i + 1 < config_.pair_size(); ++i) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps first, SameChannels(step, i));
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps second, SameChannels(step, i + 1));
      RETORT_ASSIGN_OR_RETURN(const at::Tensor student,
                              Flow(first.student, second.student, i, &config::TapPair::student));
      RETORT_ASSIGN_OR_RETURN(const at::Tensor teacher,
                              Flow(first.teacher, second.teacher, i, &config::TapPair::teacher));
      const at::Tensor loss = at::mse_loss(student, teacher);
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  absl::StatusOr<FeatureMaps> SameChannels(const Step& step, int i) const {
    RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Maps(step, config_.pair(i), name()));
    if (maps.student.size(1) == maps.teacher.size(1)) return maps;
    return TapFault(config_.pair(i), maps, name(), "[B,C,H,W] with the same B and C");
  }

  // Of one net's maps of pairs i and i + 1, whose names `tap` gives.
  absl::StatusOr<at::Tensor> Flow(const at::Tensor& first, const at::Tensor& second, int i,
                                  const std::string& (config::TapPair::*tap)() const) const {
    config::TapPair neighbours;
    neighbours.set_student((config_.pair(i).*tap)());
    neighbours.set_teacher((config_.pair(i + 1).*tap)());
    const absl::StatusOr<FeatureMaps> maps = Pooled({first, second}, neighbours, name());
    if (!maps.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("fsp: taps \"", neighbours.student(), "\" ", ShapeText(first),
                                                     " and \"", neighbours.teacher(), "\" ", ShapeText(second),
                                                     " of one net: one must be nowhere smaller than the other"));
    }
    const at::Tensor x = maps->student.flatten(2), y = maps->teacher.flatten(2);
    return at::bmm(x, y.transpose(1, 2)) / static_cast<double>(x.size(2));
  }

  const config::Fsp config_;
};

}  // namespace

std::unique_ptr<Term> MakeFsp(const config::Fsp& config) { return std::make_unique<Fsp>(config); }

}  // namespace retort::kd
