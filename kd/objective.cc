#include "retort/kd/objective.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/activation_boundary.h"
#include "retort/kd/terms/attention.h"
#include "retort/kd/terms/class_wise.h"
#include "retort/kd/terms/correlation_congruence.h"
#include "retort/kd/terms/cosine_embedding.h"
#include "retort/kd/terms/crd.h"
#include "retort/kd/terms/cross_entropy.h"
#include "retort/kd/terms/dist.h"
#include "retort/kd/terms/distill_kl.h"
#include "retort/kd/terms/distillation_token.h"
#include "retort/kd/terms/dkd.h"
#include "retort/kd/terms/factor_transfer.h"
#include "retort/kd/terms/fsp.h"
#include "retort/kd/terms/gradient_attention.h"
#include "retort/kd/terms/hierarchical_context.h"
#include "retort/kd/terms/hint.h"
#include "retort/kd/terms/input_gradient.h"
#include "retort/kd/terms/multi_level.h"
#include "retort/kd/terms/nst.h"
#include "retort/kd/terms/ofd.h"
#include "retort/kd/terms/pkt.h"
#include "retort/kd/terms/review_kd.h"
#include "retort/kd/terms/rkd.h"
#include "retort/kd/terms/sim_kd.h"
#include "retort/kd/terms/similarity_preserving.h"
#include "retort/kd/terms/teacher_free.h"
#include "retort/kd/terms/top_k_cross_entropy.h"
#include "retort/kd/terms/vid.h"

namespace retort::kd {
namespace {

// "cross_entropy, distill, ..."
std::string Choices() {
  const google::protobuf::OneofDescriptor& choices = *config::Term::descriptor()->FindOneofByName("term");
  std::vector<std::string> names;
  for (int i = 0; i < choices.field_count(); ++i) names.push_back(choices.field(i)->name());
  return absl::StrJoin(names, ", ");
}

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
    case config::Term::kDkd:
      return MakeDkd(config.dkd());
    case config::Term::kDist:
      return MakeDist(config.dist());
    case config::Term::kMultiLevel:
      return MakeMultiLevel(config.multi_level());
    case config::Term::kDistillationToken:
      return MakeDistillationToken(config.distillation_token());
    case config::Term::kTeacherFree:
      return MakeTeacherFree(config.teacher_free());
    case config::Term::kClassWise:
      return MakeClassWise(config.class_wise());
    case config::Term::kTopKCrossEntropy:
      return MakeTopKCrossEntropy(config.top_k_cross_entropy());
    case config::Term::kGradientAttention:
      return MakeGradientAttention(config.gradient_attention());
    case config::Term::kInputGradient:
      return MakeInputGradient(config.input_gradient());
    case config::Term::kHint:
      return MakeHint(config.hint());
    case config::Term::kNst:
      return MakeNst(config.nst());
    case config::Term::kSimilarityPreserving:
      return MakeSimilarityPreserving(config.similarity_preserving());
    case config::Term::kFsp:
      return MakeFsp(config.fsp());
    case config::Term::kFactorTransfer:
      return MakeFactorTransfer(config.factor_transfer());
    case config::Term::kActivationBoundary:
      return MakeActivationBoundary(config.activation_boundary());
    case config::Term::kRkd:
      return MakeRkd(config.rkd());
    case config::Term::kPkt:
      return MakePkt(config.pkt());
    case config::Term::kCorrelationCongruence:
      return MakeCorrelationCongruence(config.correlation_congruence());
    case config::Term::kHierarchicalContext:
      return MakeHierarchicalContext(config.hierarchical_context());
    case config::Term::kVid:
      return MakeVid(config.vid());
    case config::Term::kCrd:
      return MakeCrd(config.crd());
    case config::Term::kOfd:
      return MakeOfd(config.ofd());
    case config::Term::kReviewKd:
      return MakeReviewKd(config.review_kd());
    case config::Term::kSimKd:
      return MakeSimKd(config.sim_kd());
    case config::Term::TERM_NOT_SET:
      break;
  }
  return nullptr;
}

constexpr double kPi = 3.14159265358979323846;

// Share of a ramp of `epochs` epochs that is done in `epoch`, which counts from 0: 1 / epochs in the first.
double Progress(int64_t epochs, int64_t epoch) {
  return std::min(1.0, static_cast<double>(epoch + 1) / static_cast<double>(epochs));
}

double Ramp(const config::WeightSchedule::Ramp& ramp, double progress) {
  return ramp.from() + (ramp.to() - ramp.from()) * progress;
}

double StepFactor(const config::WeightSchedule::Steps& steps, int64_t epoch) {
  double factor = 1;
  for (const config::WeightSchedule::Steps::Step& step : steps.step()) {
    if (epoch >= step.epoch()) factor = step.factor();
  }
  return factor;
}

void AddEach(const std::vector<std::string>& from, std::vector<std::string>* into) {
  for (const std::string& tap : from) {
    if (std::find(into->begin(), into->end(), tap) == into->end()) into->push_back(tap);
  }
}

void Merge(const nn::Request& from, nn::Request* into) {
  into->embedding |= from.embedding;
  AddEach(from.taps, &into->taps);
}

void Merge(const TargetRequest& from, TargetRequest* into) {
  Merge(static_cast<const nn::Request&>(from), static_cast<nn::Request*>(into));
  into->logits |= from.logits;
  AddEach(from.maps, &into->maps);
  into->gradients.images |= from.gradients.images;
  AddEach(from.gradients.maps, &into->gradients.maps);
}

// What the term is multiplied by in `epoch`, but for a learned share.
double FactorOf(const config::Term& config, int64_t epoch) {
  const config::WeightSchedule& schedule = config.weight_schedule();
  switch (schedule.shape_case()) {
    case config::WeightSchedule::kLinear:
      return config.weight() * Ramp(schedule.linear(), Progress(schedule.linear().epochs(), epoch));
    case config::WeightSchedule::kCosine:
      return config.weight() *
             Ramp(schedule.cosine(), (1 - std::cos(kPi * Progress(schedule.cosine().epochs(), epoch))) / 2);
    case config::WeightSchedule::kSteps:
      return config.weight() * StepFactor(schedule.steps(), epoch);
    case config::WeightSchedule::kLearned:
    case config::WeightSchedule::SHAPE_NOT_SET:
      break;
  }
  return config.weight();
}

}  // namespace

Needs NeedsOf(const config::Term& config) {
  const std::unique_ptr<Term> term = BuildTerm(config);
  return term == nullptr ? Needs() : term->needs();
}

absl::StatusOr<Objective> Objective::Create(const config::Objective& config) {
  if (config.has_preset()) return absl::InvalidArgumentError("objective: the preset is not expanded; see kd/presets");
  if (config.term().empty()) {
    return absl::InvalidArgumentError("objective: there is no term; add for example term { cross_entropy {} }");
  }
  Objective objective;
  std::map<std::string, int> seen;
  for (int i = 0; i < config.term_size(); ++i) {
    std::unique_ptr<Term> term = BuildTerm(config.term(i));
    if (term == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("objective.term[", i, "]: nothing is chosen; choose one of ", Choices()));
    }
    const int occurrence = ++seen[term->name()];
    objective.names_.push_back(occurrence == 1 ? term->name() : absl::StrCat(term->name(), "_", occurrence));
    objective.configs_.push_back(config.term(i));
    RETORT_RETURN_IF_ERROR(objective.AddLearnedWeight(config.term(i), i));
    const Needs needs = term->needs();
    Merge(needs.student, &objective.needs_.student);
    Merge(needs.targets, &objective.needs_.targets);
    objective.needs_.student_image_gradient |= needs.student_image_gradient;
    objective.terms_.push_back(std::move(term));
  }
  return objective;
}

absl::Status Objective::AddLearnedWeight(const config::Term& config, int index) {
  if (!config.weight_schedule().has_learned()) return absl::OkStatus();
  const config::WeightSchedule::Learned& learned = config.weight_schedule().learned();
  const auto [place, added] = learned_.try_emplace(learned.name());
  if (added) {
    place->second = at::full({}, learned.initial(), at::kFloat).set_requires_grad(true);
  } else if (place->second.item<float>() != static_cast<float>(learned.initial())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "objective.term[", index, "].weight_schedule.learned: \"", learned.name(), "\" starts from ", learned.initial(),
        " here and from ", place->second.item<float>(), " in a term before; terms that share it must agree"));
  }
  return absl::OkStatus();
}

at::Tensor Objective::Learned(const config::WeightSchedule& schedule, const at::Tensor& weighted) const {
  if (!schedule.has_learned()) return weighted;
  const at::Tensor share = learned_.at(schedule.learned().name()).to(weighted.device()).sigmoid();
  return weighted * (schedule.learned().complement() ? 1 - share : share);
}

absl::Status Objective::Prepare(const Step& example, int64_t samples) {
  for (const std::unique_ptr<Term>& term : terms_) RETORT_RETURN_IF_ERROR(term->Prepare(example, samples));
  return absl::OkStatus();
}

std::vector<nn::NamedTensor> Objective::Parameters() const {
  std::vector<nn::NamedTensor> all;
  for (size_t i = 0; i < terms_.size(); ++i) {
    for (auto& [name, tensor] : terms_[i]->Parameters()) all.emplace_back(absl::StrCat(names_[i], ".", name), tensor);
  }
  for (const auto& [name, tensor] : learned_) all.emplace_back(absl::StrCat("weight.", name), tensor);
  return all;
}

std::vector<nn::NamedTensor> Objective::Buffers() const {
  std::vector<nn::NamedTensor> all;
  for (size_t i = 0; i < terms_.size(); ++i) {
    for (auto& [name, tensor] : terms_[i]->Buffers()) all.emplace_back(absl::StrCat(names_[i], ".", name), tensor);
  }
  return all;
}

absl::StatusOr<Objective::Loss> Objective::Compute(const Step& step) {
  Loss loss;
  at::Tensor nothing;
  for (size_t i = 0; i < terms_.size(); ++i) {
    RETORT_ASSIGN_OR_RETURN(const at::Tensor value, terms_[i]->Compute(step));
    loss.parts.push_back(value.detach());
    const double factor = FactorOf(configs_[i], step.epoch);
    const at::Tensor weighted = Learned(configs_[i].weight_schedule(), value * factor);
    if (factor == 0) {
      nothing = weighted;
    } else {
      loss.total = loss.total.defined() ? loss.total + weighted : weighted;
    }
  }
  if (!loss.total.defined()) loss.total = nothing;
  return loss;
}

}  // namespace retort::kd
