// Correlation of probabilities.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With p = softmax(teacher / T), q = softmax(student / T) and rho(x, y) = x'.y' / (||x'|| ||y'|| + 1e-8), x' = x less
// its mean:
//
//   loss = T^2 [ inter_weight (1 - mean_b rho(p[b,:], q[b,:])) + intra_weight (1 - mean_c rho(p[:,c], q[:,c])) ]
//
// Of a single image there is no correlation over images: that part is then the constant T^2 intra_weight. Source: Huang
// et al., arXiv 2205.10536; hunto/image_classification_sota, lib/models/losses/dist_kd.py.
//
// Reads both sides' logits [B,K]. InvalidArgument if their shapes differ.
std::unique_ptr<Term> MakeDist(const config::Dist& config);

}  // namespace retort::kd
