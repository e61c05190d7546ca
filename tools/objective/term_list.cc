#include "retort/tools/objective/term_list.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"

#include "retort/kd/objective.pb.h"

namespace retort::tools {
namespace {

using Facts = config::TermFacts;

constexpr char kLetters[] =
    "B images, K classes; s student, t teacher; z logits [B,K], y labels [B], x taps [B,C,H,W] of a pair, e "
    "embeddings\n"
    "[B,D]; p, q probabilities, T temperature; means over images unless said. kd/terms/ has a header a term.\n";

// As a file of --tensors names it.
std::string TensorText(Facts::Tensor tensor) {
  switch (tensor) {
    case Facts::STUDENT_LOGITS:
      return "student.logits";
    case Facts::TEACHER_LOGITS:
      return "teacher.logits";
    case Facts::LABELS:
      return "labels";
    case Facts::DISTILLATION_LOGITS:
      return "student.distillation_logits";
    case Facts::STUDENT_TAPS:
      return "student.<tap>";
    case Facts::TEACHER_TAPS:
      return "teacher.<tap>";
    case Facts::STUDENT_EMBEDDING:
      return "student.embedding";
    case Facts::TEACHER_EMBEDDING:
      return "teacher.embedding";
    case Facts::IMAGES:
      return "images";
    case Facts::IMAGE_GRADIENTS:
      return "teacher.gradient.images";
    case Facts::TAP_GRADIENTS:
      return "teacher.gradient.<tap>";
    case Facts::INDEX:
      return "index";
  }
  return "";
}

std::string TargetText(Facts::Target target) {
  switch (target) {
    case Facts::LOGITS:
      return "logits";
    case Facts::EMBEDDING:
      return "embedding";
    case Facts::ATTENTION_MAPS:
      return "attention maps";
    case Facts::GRADIENT_MAPS:
      return "maps of gradients by taps";
    case Facts::INPUT_GRADIENT:
      return "gradient by the image";
    case Facts::FLOW_MATRICES:
      return "matrices of neighbouring taps";
    case Facts::SIGNS:
      return "signs of taps";
    case Facts::MAPS:
      return "nothing less than the taps";
  }
  return "";
}

}  // namespace

std::string TermList() {
  std::string list = kLetters;
  const google::protobuf::OneofDescriptor& terms = *config::Term::descriptor()->FindOneofByName("term");
  for (int i = 0; i < terms.field_count(); ++i) {
    const Facts& facts = terms.field(i)->message_type()->options().GetExtension(config::facts);
    std::vector<std::string> reads, caches;
    for (const int tensor : facts.reads()) reads.push_back(TensorText(static_cast<Facts::Tensor>(tensor)));
    for (const int target : facts.caches()) caches.push_back(TargetText(static_cast<Facts::Target>(target)));
    if (caches.empty()) caches.push_back("reads no teacher");
    absl::StrAppend(&list, "\n", terms.field(i)->name(), "\n  formula  ", facts.formula(), "\n  reads    ",
                    absl::StrJoin(reads, ", "), "\n  cache    ", absl::StrJoin(caches, ", "), "\n  source   ",
                    facts.source(), "\n");
  }
  return list;
}

}  // namespace retort::tools
