#include "retort/kd/terms/class_wise.h"

#include <cstdint>
#include <map>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

struct Pairs {
  std::vector<int64_t> image;
  std::vector<int64_t> partner;
};

Pairs SameClass(const at::Tensor& labels) {
  const at::Tensor on_host = labels.cpu().contiguous();
  const int64_t* const label = on_host.const_data_ptr<int64_t>();
  std::map<int64_t, std::vector<int64_t>> images;
  for (int64_t b = 0; b < on_host.size(0); ++b) images[label[b]].push_back(b);
  Pairs pairs;
  for (const auto& [_, of_class] : images) {
    if (of_class.size() < 2) continue;
    for (size_t i = 0; i < of_class.size(); ++i) {
      pairs.image.push_back(of_class[i]);
      pairs.partner.push_back(of_class[(i + 1) % of_class.size()]);
    }
  }
  return pairs;
}

class ClassWise final : public Term {
 public:
  explicit ClassWise(const config::ClassWise& config) : config_(config) {}

  const char* name() const override { return "class_wise"; }

  Needs needs() const override { return {}; }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLabels(step, name()));
    const at::Tensor& logits = step.student.logits;
    const Pairs pairs = SameClass(step.labels);
    if (pairs.image.empty()) return logits.slice(0, 0, 0).sum();
    const auto rows = [&](const std::vector<int64_t>& index) {
      return at::index_select(logits, 0, at::tensor(index, at::kLong).to(logits.device()));
    };
    return ops::torch::DistillKl(rows(pairs.image), rows(pairs.partner).detach(), config_.temperature());
  }

 private:
  const config::ClassWise config_;
};

}  // namespace

std::unique_ptr<Term> MakeClassWise(const config::ClassWise& config) { return std::make_unique<ClassWise>(config); }

}  // namespace retort::kd
