// Features beyond a margin.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// For each pair of maps, both before their ReLU, s = norm(conv(x_s)), a 1x1 convolution without bias to the teacher's
// channels and batch norm, t the teacher's; the larger of x_s and t is average-pooled to the smaller size. The target
// is u = max(t, m), m_c the mean of the teacher's negative values in channel c over all steps so far. Of L pairs,
// counted from 1:
//
//   loss = (1 / B) sum_l 2^(l - L) sum over elements of (s - u)^2 where s > u or u > 0, else 0
//
// m is thus measured. The paper's code takes the expectation of a normal distribution with mean and deviation of the
// teacher's last batch norm, which are no tensors of a step; nor is the teacher in training mode here.
//
// Parameters "0.conv.weight", "0.norm.weight", "0.norm.bias"; buffers, beside those of batch norm, "0.negative_sum" and
// "0.negative_count" [C]. Source: Heo et al., arXiv 1904.01866; megvii-research/mdistiller,
// mdistiller/distillers/OFD.py, weight 1e-3.
//
// InvalidArgument names the pair and its shapes.
std::unique_ptr<Term> MakeOfd(const config::Ofd& config);

}  // namespace retort::kd
