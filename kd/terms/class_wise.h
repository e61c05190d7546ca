// Two images of a class agree.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Each image b whose class occurs in the batch again learns from the next image b' of its class (the first one, after
// the last); b' is a constant then. With p = softmax(student[b'] / T), q = softmax(student[b] / T):
//
//   loss = T^2 mean_b KL( p || q ), over those images; 0 if there are none
//
// So a batch must hold classes more than once: with K classes and B images drawn at random about B^2 / 2K pairs.
// Source: Yun et al., arXiv 2003.13964, whose code (alinlab/cs-kd) draws every image with a partner.
//
// Reads student.logits [B,K] and labels i64 [B]. InvalidArgument if B differs, OutOfRange for a label beyond K.
std::unique_ptr<Term> MakeClassWise(const config::ClassWise& config);

}  // namespace retort::kd
