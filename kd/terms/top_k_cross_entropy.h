// Cross-entropy with the teacher's greatest probabilities.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With p = softmax(teacher) and S the teacher's k most probable classes of an image:
//
//   loss = (1 / B) sum_b sum_c -t log softmax(student)[b,c]
//   UNIFORM        t = p in S, (1 - sum_S p) / (K - k) elsewhere
//   RENORMALIZED   t = p / sum_S p in S, 0 elsewhere
//
// What a student learns from a cache of the k greatest probabilities. Source: microsoft/Cream, TinyViT (UNIFORM);
// szq0214/FKD (RENORMALIZED).
//
// Reads both sides' logits [B,K], k <= K. InvalidArgument if their shapes differ or k is more.
std::unique_ptr<Term> MakeTopKCrossEntropy(const config::TopKCrossEntropy& config);

}  // namespace retort::kd
