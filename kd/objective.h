// The weighted sum that a student is trained on.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// What one term reads; nothing where none is chosen.
Needs NeedsOf(const config::Term& config);

// loss(epoch) = sum_i weight_i * factor_i(epoch) * term_i, factors as config::WeightSchedule says. A term whose weight
// is 0 in an epoch is measured and no part of the sum: it gives no gradients, and may be infinite.
class Objective {
 public:
  // Of an expanded one (kd/presets). InvalidArgument names the term at fault.
  static absl::StatusOr<Objective> Create(const config::Objective& config);

  struct Loss {
    at::Tensor total;               // scalar, differentiable
    std::vector<at::Tensor> parts;  // of each term before its weight, detached, in the order of names()
  };
  absl::StatusOr<Loss> Compute(const Step& step);

  // Once, before Compute; see Term::Prepare.
  absl::Status Prepare(const Step& example, int64_t samples);

  // Of all terms, as "<term's name>.<its name>", and learned weights, as "weight.<name>".
  std::vector<nn::NamedTensor> Parameters() const;
  std::vector<nn::NamedTensor> Buffers() const;

  // Of each term; made unique by its position ("attention", "attention_2").
  const std::vector<std::string>& names() const { return names_; }
  // Of all terms together.
  const Needs& needs() const { return needs_; }

 private:
  absl::Status AddLearnedWeight(const config::Term& config, int index);

  // `weighted` times the learned share, where the schedule has one.
  at::Tensor Learned(const config::WeightSchedule& schedule, const at::Tensor& weighted) const;

  std::vector<std::unique_ptr<Term>> terms_;
  std::vector<config::Term> configs_;
  std::map<std::string, at::Tensor> learned_;  // by name: w of sigmoid(w)
  std::vector<std::string> names_;
  Needs needs_;
};

}  // namespace retort::kd
