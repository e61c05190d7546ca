#include "retort/ops/torch/autograd/with_backward.h"

#include <memory>
#include <mutex>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "c10/util/Exception.h"
#include "torch/csrc/autograd/autograd.h"
#include "torch/csrc/autograd/function.h"
#include "torch/csrc/autograd/functions/utils.h"
#include "torch/csrc/autograd/saved_variable.h"

namespace retort::ops::torch {
namespace {

class WithBackwardNode final : public ::torch::autograd::Node {
 public:
  WithBackwardNode(const at::Tensor& input, Backward backward)
      : Node(::torch::autograd::collect_next_edges(input)),
        input_(input, /*is_output=*/false),
        backward_(std::move(backward)) {}

  std::string name() const override { return "WithBackward"; }

  ::torch::autograd::variable_list apply(::torch::autograd::variable_list&& gradients) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!gradients[0].defined()) return {at::Tensor()};
    TORCH_CHECK(backward_.fused != nullptr, "Trying to backward through a graph a second time; give retain_graph");
    if (!at::GradMode::is_enabled()) return {backward_.fused(gradients[0], {[&] { return input_.unpack(); }, last_})};
    const at::Tensor input = input_.unpack();
    return ::torch::autograd::grad({backward_.plain(input)}, {input}, {gradients[0]}, /*retain_graph=*/true,
                                   /*create_graph=*/true);
  }

  void will_release_variables() override { last_ = true; }

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    input_.reset_data();
    backward_ = {};
  }

 private:
  ::torch::autograd::SavedVariable input_;
  Backward backward_;
  bool last_ = false;
};

}  // namespace

at::Tensor Scaled(at::Tensor gradient, const at::Tensor& by_scalar, const BackwardPass& pass) {
  if (!pass.last) return gradient * by_scalar;
  // Most often the scalar is what is differentiated.
  const bool one = by_scalar.is_cpu() && *by_scalar.const_data_ptr<float>() == 1;
  return one ? gradient : gradient.mul_(by_scalar);
}

at::Tensor WithBackward(const at::Tensor& input, const at::Tensor& value, Backward backward) {
  if (!::torch::autograd::compute_requires_grad(input)) return value;
  at::Tensor result = value;
  ::torch::autograd::set_history(result,
                                 std::shared_ptr<WithBackwardNode>(new WithBackwardNode(input, std::move(backward)),
                                                                   ::torch::autograd::deleteNode));
  return result;
}

}  // namespace retort::ops::torch
