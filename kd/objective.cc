#include "retort/kd/objective.h"

#include <algorithm>
#include <map>
#include <utility>

#include "ATen/TensorOperators.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/attention.h"
#include "retort/kd/terms/cosine_embedding.h"
#include "retort/kd/terms/cross_entropy.h"
#include "retort/kd/terms/distill_kl.h"

namespace retort::kd {
namespace {

// Null where no term is chosen.
std::unique_ptr<Term> BuildTerm(const config::Term& config) {
  switch (config.term_case()) {
    case config::Term::kCrossEntropy:
      return MakeCrossEntropy(config.cross_entropy());
    case config::Term::kDistill:
      return MakeDistillKl(config.distill());
    case config::Term::kCosineEmbedding:
      return MakeCosineEmbedding(config.cosine_embedding());
    case config::Term::kAttention:
      return MakeAttention(config.attention());
    case config::Term::TERM_NOT_SET:
      break;
  }
  return nullptr;
}

void Merge(const nn::Request& from, nn::Request* into) {
  into->embedding |= from.embedding;
  for (const std::string& tap : from.taps) {
    if (std::find(into->taps.begin(), into->taps.end(), tap) == into->taps.end()) into->taps.push_back(tap);
  }
}

}  // namespace

absl::StatusOr<Objective> Objective::Create(const config::Objective& config) {
  if (config.term().empty()) {
    return absl::InvalidArgumentError("objective: there is no term; add for example term { cross_entropy {} }");
  }
  Objective objective;
  std::map<std::string, int> seen;
  for (int i = 0; i < config.term_size(); ++i) {
    std::unique_ptr<Term> term = BuildTerm(config.term(i));
    if (term == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("objective.term[", i,
                       "]: nothing is chosen; choose one of cross_entropy, distill, cosine_embedding, attention"));
    }
    const int occurrence = ++seen[term->name()];
    objective.names_.push_back(occurrence == 1 ? term->name() : absl::StrCat(term->name(), "_", occurrence));
    objective.weights_.push_back(config.term(i).weight());
    const Needs needs = term->needs();
    Merge(needs.student, &objective.needs_.student);
    Merge(needs.teacher_outputs, &objective.needs_.teacher_outputs);
    objective.needs_.teacher |= needs.teacher;
    objective.terms_.push_back(std::move(term));
  }
  return objective;
}

absl::StatusOr<Objective::Loss> Objective::Compute(const Step& step) const {
  Loss loss;
  for (size_t i = 0; i < terms_.size(); ++i) {
    RETORT_ASSIGN_OR_RETURN(const at::Tensor value, terms_[i]->Compute(step));
    loss.total = i == 0 ? value * weights_[i] : loss.total.add(value, weights_[i]);
    loss.parts.push_back(value.detach());
  }
  return loss;
}

}  // namespace retort::kd
