#include "retort/kd/presets/presets.h"

#include "google/protobuf/text_format.h"

namespace retort::kd {
namespace {

void WarmUp(int epochs, config::Term* term) {
  if (epochs > 0) term->mutable_weight_schedule()->mutable_linear()->set_epochs(epochs);
}

// What the paper adds to the cross-entropy.
void Add(const config::Preset::HintonKd& preset, config::Term* soft) {
  soft->mutable_distill()->set_temperature(preset.temperature());
}

void Add(const config::Preset::BornAgain& /*preset*/, config::Term* soft) {
  soft->mutable_distill()->set_temperature(1);
}

void Add(const config::Preset::FunctionMatching& preset, config::Term* soft) {
  soft->mutable_distill()->set_temperature(preset.temperature());
}

void Add(const config::Preset::LogitStandardization& preset, config::Term* soft) {
  soft->mutable_distill()->set_temperature(preset.temperature());
  soft->mutable_distill()->set_standardize(true);
}

void Add(const config::Preset::Dkd& preset, config::Term* soft) {
  config::Dkd* const dkd = soft->mutable_dkd();
  dkd->set_temperature(preset.temperature());
  dkd->set_target_weight(preset.target_weight());
  dkd->set_non_target_weight(preset.non_target_weight());
  WarmUp(preset.warmup_epochs(), soft);
}

void Add(const config::Preset::Dist& preset, config::Term* soft) {
  soft->mutable_dist()->set_temperature(preset.temperature());
}

void Add(const config::Preset::MultiLevel& /*preset*/, config::Term* soft) {
  for (const double temperature : {4, 3, 5, 2, 6}) soft->mutable_multi_level()->add_temperature(temperature);
}

void Add(const config::Preset::Deit& preset, config::Term* soft) {
  config::DistillationToken* const token = soft->mutable_distillation_token();
  if (preset.form() == config::Preset::Deit::MOST_PROBABLE) {
    token->mutable_hard();
  } else {
    token->mutable_soft()->set_temperature(preset.temperature());
  }
}

void Add(const config::Preset::TeacherFree& preset, config::Term* soft) {
  config::TeacherFree* const teacher = soft->mutable_teacher_free();
  teacher->set_label_probability(0.99);
  teacher->set_temperature(20);
  teacher->set_as_published(preset.as_published());
}

void Add(const config::Preset::CsKd& preset, config::Term* soft) {
  soft->mutable_class_wise()->set_temperature(preset.temperature());
}

void Add(const config::Preset::AttentionTransfer& preset, config::Term* soft) {
  *soft->mutable_attention()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::InputGradientTransfer& /*preset*/, config::Term* soft) {
  soft->mutable_input_gradient();
}

void Add(const config::Preset::Fitnets& preset, config::Term* soft) {
  config::Hint* const hint = soft->mutable_hint();
  *hint->mutable_pair() = preset.pair();
  hint->mutable_projection()->set_kind(config::Projection::CONV_TO_SIZE);
  hint->mutable_projection()->set_batch_norm(true);
  hint->mutable_projection()->set_relu(true);
}

void Add(const config::Preset::Nst& preset, config::Term* soft) {
  *soft->mutable_nst()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::Sp& preset, config::Term* soft) {
  *soft->mutable_similarity_preserving()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::Fsp& preset, config::Term* soft) {
  *soft->mutable_fsp()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::FactorTransfer& preset, config::Term* soft) {
  *soft->mutable_factor_transfer()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::Ab& preset, config::Term* soft) {
  config::ActivationBoundary* const boundary = soft->mutable_activation_boundary();
  *boundary->mutable_pair() = preset.pair();
  boundary->mutable_projection()->set_kind(config::Projection::CONV_1X1);
  boundary->mutable_projection()->set_batch_norm(true);
}

void Add(const config::Preset::Vid& preset, config::Term* soft) {
  *soft->mutable_vid()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::Ofd& preset, config::Term* soft) {
  *soft->mutable_ofd()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::ReviewKd& preset, config::Term* soft) {
  *soft->mutable_review_kd()->mutable_pair() = preset.pair();
  WarmUp(preset.warmup_epochs(), soft);
}

void Add(const config::Preset::SimKd& preset, config::Term* soft) {
  *soft->mutable_sim_kd()->mutable_pair() = preset.pair();
}

void Add(const config::Preset::Rkd& /*preset*/, config::Term* soft) {
  soft->mutable_rkd()->set_distance_weight(25);
  soft->mutable_rkd()->set_angle_weight(50);
}

void Add(const config::Preset::Pkt& /*preset*/, config::Term* soft) { soft->mutable_pkt(); }

void Add(const config::Preset::Cc& /*preset*/, config::Term* soft) {
  soft->mutable_correlation_congruence()->mutable_neighbours()->set_width(128);
}

void Add(const config::Preset::Crd& /*preset*/, config::Term* soft) {
  config::Crd* const crd = soft->mutable_crd();
  crd->set_width(128);
  crd->set_negatives(16384);
  crd->set_temperature(0.07);
  crd->set_momentum(0.5);
}

template <typename Paper>
void AddPaper(const Paper& paper, config::Objective* objective) {
  if (paper.hard() != 0) {
    config::Term* const hard = objective->add_term();
    hard->set_weight(paper.hard());
    hard->mutable_cross_entropy();
  }
  if (paper.soft() != 0) {
    config::Term* const soft = objective->add_term();
    soft->set_weight(paper.soft());
    Add(paper, soft);
  }
}

void AddPreset(const config::Preset& preset, config::Objective* objective) {
  switch (preset.paper_case()) {
    case config::Preset::kHintonKd:
      return AddPaper(preset.hinton_kd(), objective);
    case config::Preset::kBornAgain:
      return AddPaper(preset.born_again(), objective);
    case config::Preset::kFunctionMatching:
      return AddPaper(preset.function_matching(), objective);
    case config::Preset::kLogitStandardization:
      return AddPaper(preset.logit_standardization(), objective);
    case config::Preset::kDkd:
      return AddPaper(preset.dkd(), objective);
    case config::Preset::kDist:
      return AddPaper(preset.dist(), objective);
    case config::Preset::kMultiLevel:
      return AddPaper(preset.multi_level(), objective);
    case config::Preset::kDeit:
      return AddPaper(preset.deit(), objective);
    case config::Preset::kTeacherFree:
      return AddPaper(preset.teacher_free(), objective);
    case config::Preset::kCsKd:
      return AddPaper(preset.cs_kd(), objective);
    case config::Preset::kAttentionTransfer:
      return AddPaper(preset.attention_transfer(), objective);
    case config::Preset::kInputGradientTransfer:
      return AddPaper(preset.input_gradient_transfer(), objective);
    case config::Preset::kFitnets:
      return AddPaper(preset.fitnets(), objective);
    case config::Preset::kNst:
      return AddPaper(preset.nst(), objective);
    case config::Preset::kSp:
      return AddPaper(preset.sp(), objective);
    case config::Preset::kFsp:
      return AddPaper(preset.fsp(), objective);
    case config::Preset::kFactorTransfer:
      return AddPaper(preset.factor_transfer(), objective);
    case config::Preset::kAb:
      return AddPaper(preset.ab(), objective);
    case config::Preset::kVid:
      return AddPaper(preset.vid(), objective);
    case config::Preset::kOfd:
      return AddPaper(preset.ofd(), objective);
    case config::Preset::kReviewKd:
      return AddPaper(preset.review_kd(), objective);
    case config::Preset::kSimKd:
      return AddPaper(preset.sim_kd(), objective);
    case config::Preset::kRkd:
      return AddPaper(preset.rkd(), objective);
    case config::Preset::kPkt:
      return AddPaper(preset.pkt(), objective);
    case config::Preset::kCc:
      return AddPaper(preset.cc(), objective);
    case config::Preset::kCrd:
      return AddPaper(preset.crd(), objective);
    case config::Preset::PAPER_NOT_SET:
      return;
  }
}

}  // namespace

config::Objective Expanded(const config::Objective& objective) {
  config::Objective expanded;
  if (objective.has_preset()) AddPreset(objective.preset(), &expanded);
  expanded.mutable_term()->MergeFrom(objective.term());
  return expanded;
}

std::string TermLines(const config::Objective& objective) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string lines;
  for (const config::Term& term : objective.term()) {
    std::string line;
    printer.PrintToString(term, &line);
    lines += "term { " + line + "}\n";
  }
  return lines;
}

}  // namespace retort::kd
