// Contrast of an image with others in student and teacher.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Both sides' embeddings are brought to `width` by a learnable linear layer and divided by their length: v_s, v_t
// [B,D]. loss: kd/terms/contrast_memory.h, with K = `negatives` images drawn with replacement from those of other
// classes. Of an image that training has not yet seen the class is not known, and it is taken for another one; so in
// the first epoch about one in as many negatives as there are classes is false. After the loss the banks take in v_s
// and v_t: to compute it twice on the same step gives two values.
//
// Negatives are drawn from LibTorch's default CPU generator, unless the step has them. Memory: 2 N D numbers for N
// training images, B K D for a step. Banks, their two normalisers and the classes seen are buffers, the layers
// parameters.
//
// Source: Tian et al., arXiv 1910.10699; HobbitLong/RepDistiller, crd/criterion.py, weight 0.8, where negatives of an
// image are drawn without replacement.
//
// Reads both sides' embedding [B,D], labels i64 [B] and index i64 [B] in [0,N). InvalidArgument if shapes differ,
// OutOfRange for an index beyond N, FailedPrecondition where all images seen are of one class.
std::unique_ptr<Term> MakeCrd(const config::Crd& config);

}  // namespace retort::kd
