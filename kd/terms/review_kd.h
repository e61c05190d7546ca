// Stages of the student reviewed from the last to the first.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Levels l = 1..L are the pairs of maps, x_l of the student [B,C_l,H_l,W_l], t_l of the teacher, and, with `embedding`,
// one more of both embeddings as maps of one place. From the last level to the first, with M = min(most_channels,
// channels of the student's last level):
//
//   a_l = norm(conv1x1(x_l)) [B,M,H_l,W_l]
//   r_l = a_L for l = L, else z_0 a_l + z_1 up(r_{l+1}), z = sigmoid(conv1x1([a_l, up(r_{l+1})])) [B,2,H_l,W_l]
//   y_l = norm(conv3x3(r_l at the size of t_l))
//   loss = sum_l HCL(y_l, t_l), kd/terms/hierarchical_context.h
//
// up and the change of size take the nearest place. Convolutions have no bias but those of z. Parameters are named
// after the level from 0: "0.in.weight", "0.in_norm.weight", "0.attention.weight", "0.out.weight", "0.out_norm.weight".
//
// Source: Chen et al., arXiv 2104.09044; dvlab-research/ReviewKD, CIFAR-100/model/reviewkd.py; weight 0.6 to 8, growing
// over 20 epochs; its taps are maps before their ReLU.
//
// InvalidArgument names the level whose maps are not [B,C,H,W], or that have fewer than two values a channel for batch
// norm (a batch of one with `embedding`).
std::unique_ptr<Term> MakeReviewKd(const config::ReviewKd& config);

}  // namespace retort::kd
