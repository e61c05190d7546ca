// Embeddings that a term reads.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/kd/term.h"

namespace retort::kd {

// What a term needs that reads both sides' embeddings.
Needs EmbeddingNeeds();

// InvalidArgument, in the name of `term`, unless both sides' embeddings are [B,D_s] and [B,D_t] with the same B.
absl::Status CheckEmbeddings(const Step& step, absl::string_view term);

}  // namespace retort::kd
