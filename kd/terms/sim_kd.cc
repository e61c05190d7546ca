#include "retort/kd/terms/sim_kd.h"

#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/mse_loss.h"
#include "ATen/ops/relu.h"
#include "absl/status/status.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/layers.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class SimKd final : public Term {
 public:
  explicit SimKd(const config::SimKd& config) : config_(config) {}

  const char* name() const override { return "sim_kd"; }

  Needs needs() const override {
    Needs needs;
    needs.student.taps = {config_.pair().student()};
    needs.targets.taps = {config_.pair().teacher()};
    return needs;
  }

  absl::Status Prepare(const Step& example, int64_t /*samples*/) override {
    RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Inputs(example));
    layers_.clear();
    parts_ = Parts(maps.student.options());
    const int64_t in = maps.student.size(1), out = maps.teacher.size(1), middle = out / config_.factor();
    if (middle < 1) return TapFault(config_.pair(), maps, name(), "of more teacher's channels than `factor`");
    const auto add = [this](const ConvolutionShape& shape, const std::string& layer) {
      layers_.push_back({Convolution(shape, layer, &parts_), BatchNorm(shape.out, layer + "_norm", &parts_)});
    };
    add({in, middle}, "first");
    add({middle, middle, 3, 3, 1, 1}, "second");
    add({middle, out}, "third");
    return absl::OkStatus();
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Inputs(step));
    if (layers_.empty()) return absl::FailedPreconditionError("sim_kd: Compute before Prepare");
    if (maps.teacher.numel() < 2 * maps.teacher.size(1)) {
      return TapFault(config_.pair(), maps, name(), "of two values a channel at least for batch norm");
    }
    at::Tensor x = maps.student;
    for (const Layer& layer : layers_) x = at::relu(layer.norm(layer.convolution(x)));
    if (x.sizes() != maps.teacher.sizes()) return TapFault(config_.pair(), maps, name(), "as in the first step");
    return at::mse_loss(x, maps.teacher);
  }

  std::vector<nn::NamedTensor> Parameters() const override { return parts_.parameters(); }
  std::vector<nn::NamedTensor> Buffers() const override { return parts_.buffers(); }

 private:
  struct Layer {
    Convolution convolution;
    BatchNorm norm;
  };

  absl::StatusOr<FeatureMaps> Inputs(const Step& step) const { return PooledMaps(step, config_.pair(), name()); }

  const config::SimKd config_;
  Parts parts_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Term> MakeSimKd(const config::SimKd& config) { return std::make_unique<SimKd>(config); }

}  // namespace retort::kd
