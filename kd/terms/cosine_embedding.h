// Cosine distance of hidden vectors.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// loss = mean_b (1 - cos(student_b, teacher_b)), cos(x, y) = x.y / sqrt((x.x + e) (y.y + e)), e = 1e-12: what PyTorch's
// CosineEmbeddingLoss gives for target 1. Where widths differ, the wider vector is averaged over neighbouring groups
// down to the narrower width. Source: pytorch/tutorials, beginner_source/knowledge_distillation_tutorial.py.
//
// Reads both sides' embedding, [B,D_s] and [B,D_t]. InvalidArgument if B differs or one width does not divide the
// other.
std::unique_ptr<Term> MakeCosineEmbedding(const config::CosineEmbedding& config);

}  // namespace retort::kd
