// The weighted sum that a student is trained on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// loss = sum_i weight_i * term_i.
class Objective {
 public:
  static absl::StatusOr<Objective> Create(const config::Objective& config);

  struct Loss {
    at::Tensor total;               // scalar, differentiable
    std::vector<at::Tensor> parts;  // of each term before its weight, detached, in the order of names()
  };
  absl::StatusOr<Loss> Compute(const Step& step) const;

  // Of each term; made unique by its position ("attention", "attention_2").
  const std::vector<std::string>& names() const { return names_; }
  // Of all terms together.
  const Needs& needs() const { return needs_; }

 private:
  std::vector<std::unique_ptr<Term>> terms_;
  std::vector<double> weights_;
  std::vector<std::string> names_;
  Needs needs_;
};

}  // namespace retort::kd
