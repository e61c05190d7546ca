#include "retort/kd/terms/vid.h"

#include <cmath>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "ATen/ops/relu.h"
#include "ATen/ops/softplus.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/layers.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

constexpr double kLeastVariance = 1e-5;

class Vid final : public Term {
 public:
  explicit Vid(const config::Vid& config) : config_(config) {}

  const char* name() const override { return "vid"; }

  Needs needs() const override { return TapNeeds(config_.pair()); }

  absl::Status Prepare(const Step& example, int64_t /*samples*/) override {
    levels_.clear();
    for (int i = 0; i < config_.pair_size(); ++i) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Inputs(example, i));
      if (i == 0) parts_ = Parts(maps.student.options());
      const int64_t channels = maps.teacher.size(1);
      Level level;
      const double rho = std::log(std::expm1(config_.initial_variance() - kLeastVariance));
      level.rho = parts_.Parameter(absl::StrCat(i, ".rho"), at::full({channels}, rho, at::kDouble));
      if (config_.regressor() == config::Vid::THREE_CONV_1X1) {
        level.regressor.emplace_back(ConvolutionShape{maps.student.size(1), channels}, absl::StrCat(i, ".first"),
                                     &parts_);
        level.regressor.emplace_back(ConvolutionShape{channels, channels}, absl::StrCat(i, ".second"), &parts_);
        level.regressor.emplace_back(ConvolutionShape{channels, channels}, absl::StrCat(i, ".third"), &parts_);
      }
      levels_.push_back(std::move(level));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (int i = 0; i < config_.pair_size(); ++i) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Inputs(step, i));
      if (levels_.empty()) return absl::FailedPreconditionError("vid: Compute before Prepare");
      const Level& level = levels_[i];
      at::Tensor mean = maps.student;
      for (size_t k = 0; k < level.regressor.size(); ++k) mean = level.regressor[k](k == 0 ? mean : at::relu(mean));
      if (mean.size(1) != maps.teacher.size(1)) return TapFault(config_.pair(i), maps, name(), "as in the first step");
      const at::Tensor variance = (at::softplus(level.rho) + kLeastVariance).view({1, -1, 1, 1});
      const at::Tensor loss = ((mean - maps.teacher).square() / variance + variance.log()).mean() / 2;
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

  std::vector<nn::NamedTensor> Parameters() const override { return parts_.parameters(); }

 private:
  struct Level {
    at::Tensor rho;  // [C]
    std::vector<Convolution> regressor;
  };

  absl::StatusOr<FeatureMaps> Inputs(const Step& step, int i) const {
    RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, PooledMaps(step, config_.pair(i), name()));
    if (config_.regressor() == config::Vid::NONE && maps.student.size(1) != maps.teacher.size(1)) {
      return TapFault(config_.pair(i), maps, name(), "of the same channels without a regressor");
    }
    return maps;
  }

  const config::Vid config_;
  Parts parts_;
  std::vector<Level> levels_;
};

}  // namespace

std::unique_ptr<Term> MakeVid(const config::Vid& config) { return std::make_unique<Vid>(config); }

}  // namespace retort::kd
