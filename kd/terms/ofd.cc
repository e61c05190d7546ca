#include "retort/kd/terms/ofd.h"

#include <cmath>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/maximum.h"
#include "ATen/ops/zeros.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/layers.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class Ofd final : public Term {
 public:
  explicit Ofd(const config::Ofd& config) : config_(config) {}

  const char* name() const override { return "ofd"; }

  Needs needs() const override { return TapNeeds(config_.pair()); }

  absl::Status Prepare(const Step& example, int64_t /*samples*/) override {
    levels_.clear();
    for (int i = 0; i < config_.pair_size(); ++i) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, PooledMaps(example, config_.pair(i), name()));
      if (i == 0) parts_ = Parts(maps.student.options());
      const int64_t channels = maps.teacher.size(1);
      const auto zeros = [&](const char* tensor) {
        return parts_.Buffer(absl::StrCat(i, ".", tensor), at::zeros({channels}));
      };
      levels_.push_back({Convolution({maps.student.size(1), channels}, absl::StrCat(i, ".conv"), &parts_),
                         BatchNorm(channels, absl::StrCat(i, ".norm"), &parts_), zeros("negative_sum"),
                         zeros("negative_count")});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    double weight = 1 / std::exp2(config_.pair_size() - 1);
    for (int i = 0; i < config_.pair_size(); ++i, weight *= 2) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, PooledMaps(step, config_.pair(i), name()));
      if (levels_.empty()) return absl::FailedPreconditionError("ofd: Compute before Prepare");
      const Level& level = levels_[i];
      const at::Tensor& t = maps.teacher;
      if (t.numel() < 2 * t.size(1)) {
        return TapFault(config_.pair(i), maps, name(), "of two values a channel at least for batch norm");
      }
      const at::Tensor s = level.norm(level.convolution(maps.student));
      if (s.sizes() != t.sizes()) return TapFault(config_.pair(i), maps, name(), "as in the first step");
      level.negative_sum.add_(t.clamp_max(0).sum({0, 2, 3}));
      level.negative_count.add_((t < 0).sum({0, 2, 3}));
      const at::Tensor margin = level.negative_sum / level.negative_count.clamp_min(1);
      const at::Tensor u = at::maximum(t, margin.view({1, -1, 1, 1}));
      const at::Tensor counts = ((s > u).logical_or(u > 0)).to(s.scalar_type());
      const at::Tensor loss = ((s - u).square() * counts).sum() * (weight / static_cast<double>(t.size(0)));
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

  std::vector<nn::NamedTensor> Parameters() const override { return parts_.parameters(); }
  std::vector<nn::NamedTensor> Buffers() const override { return parts_.buffers(); }

 private:
  struct Level {
    Convolution convolution;
    BatchNorm norm;
    at::Tensor negative_sum;    // [C]
    at::Tensor negative_count;  // [C]
  };

  const config::Ofd config_;
  Parts parts_;
  std::vector<Level> levels_;
};

}  // namespace

std::unique_ptr<Term> MakeOfd(const config::Ofd& config) { return std::make_unique<Ofd>(config); }

}  // namespace retort::kd
