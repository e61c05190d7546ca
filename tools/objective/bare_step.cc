#include "retort/tools/objective/bare_step.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/linear.h"
#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/weights.h"

namespace retort::tools {
namespace {

using Facts = config::TermFacts;

constexpr char kStudentLogits[] = "student.logits";
constexpr char kHeadWeight[] = "student.head.weight";
constexpr char kHeadBias[] = "student.head.bias";
constexpr char kGradient[] = "teacher.gradient.";

bool OfTheHead(const std::string& name) { return name == kHeadWeight || name == kHeadBias; }
bool WholeNumbers(const std::string& name) { return name == "labels" || name == "index" || name == "negatives"; }

std::set<Facts::Tensor> Reads(const config::Objective& objective) {
  const google::protobuf::OneofDescriptor* const terms = config::Term::descriptor()->FindOneofByName("term");
  std::set<Facts::Tensor> reads;
  for (const config::Term& term : objective.term()) {
    const google::protobuf::FieldDescriptor* const field = term.GetReflection()->GetOneofFieldDescriptor(term, terms);
    for (const int tensor : field->message_type()->options().GetExtension(config::facts).reads()) {
      reads.insert(static_cast<Facts::Tensor>(tensor));
    }
  }
  return reads;
}

struct Names {
  std::set<std::string> needed;
  std::set<std::string> permitted;  // beside those
};

// What of `reads` depends on a term's options is in `needs`.
Names NamesOf(const std::set<Facts::Tensor>& reads, const kd::Needs& needs) {
  Names names;
  for (const auto& [tensor, name] : {std::pair{Facts::STUDENT_LOGITS, kStudentLogits},
                                     {Facts::TEACHER_LOGITS, "teacher.logits"},
                                     {Facts::LABELS, "labels"},
                                     {Facts::DISTILLATION_LOGITS, "student.distillation_logits"},
                                     {Facts::IMAGES, "images"},
                                     {Facts::IMAGE_GRADIENTS, "teacher.gradient.images"},
                                     {Facts::INDEX, "index"}}) {
    if (reads.count(tensor) > 0) names.needed.insert(name);
  }
  if (needs.student.embedding) names.needed.insert("student.embedding");
  if (needs.targets.embedding) names.needed.insert("teacher.embedding");
  for (const std::string& tap : needs.student.taps) names.needed.insert(absl::StrCat("student.", tap));
  for (const std::vector<std::string>* taps : {&needs.targets.taps, &needs.targets.maps}) {
    for (const std::string& tap : *taps) names.needed.insert(absl::StrCat("teacher.", tap));
  }
  for (const std::string& tap : needs.targets.gradients.maps) names.needed.insert(absl::StrCat(kGradient, tap));
  if (reads.count(Facts::STUDENT_LOGITS) > 0) names.permitted = {kHeadWeight, kHeadBias};
  if (reads.count(Facts::INDEX) > 0) names.permitted.insert("negatives");
  return names;
}

// Copies, so that leaves of an autograd graph do not stand on a mapped file.
absl::StatusOr<at::Tensor> Copy(const data::StridedView& view) {
  RETORT_ASSIGN_OR_RETURN(const at::Tensor mapped, nn::AsTensor(view));
  return mapped.clone();
}

}  // namespace

absl::StatusOr<BareStep> BareStep::Create(const data::WeightFile& file, const config::Objective& objective,
                                          const kd::Needs& needs) {
  Names names = NamesOf(Reads(objective), needs);
  BareStep step;
  for (const std::string& tap : needs.student.taps) step.student_taps_.insert(absl::StrCat("student.", tap));
  std::vector<std::string> faults;
  std::string first_floating;  // whose type all others must have
  data::DType type = data::DType::kF32;
  const auto has = [&file](const char* name) {
    return absl::c_any_of(file.tensors(), [name](const data::StridedView& view) { return view.name == name; });
  };
  if (has(kHeadWeight) && names.permitted.count(kHeadWeight) > 0) {
    names.needed.erase(kStudentLogits);
    if (has(kStudentLogits)) faults.push_back(absl::StrCat(kStudentLogits, " and ", kHeadWeight, ": give one of them"));
  }
  std::vector<std::string> listed(names.needed.begin(), names.needed.end());
  for (const data::StridedView& view : file.tensors()) {
    if (absl::StartsWith(view.name, kPartPrefix)) continue;
    const std::string described = absl::StrCat(view.name, " ", data::DescribeTensor(view.dtype, view.shape));
    const bool needed = names.needed.erase(view.name) > 0;
    if (!needed && names.permitted.count(view.name) == 0) {
      if (view.name != kStudentLogits || !has(kHeadWeight)) faults.push_back(absl::StrCat(described, ": not used"));
      continue;
    }
    if (WholeNumbers(view.name)) {
      if (view.dtype != data::DType::kI64) faults.push_back(absl::StrCat(described, ": must be I64"));
    } else if (view.dtype != data::DType::kF32 && view.dtype != data::DType::kF64) {
      faults.push_back(absl::StrCat(described, ": must be F32 or F64"));
    } else if (first_floating.empty()) {
      first_floating = described;
      type = view.dtype;
    } else if (view.dtype != type) {
      faults.push_back(absl::StrCat(described, ": must be of the type of ", first_floating));
    }
    if (!OfTheHead(view.name)) {
      const int64_t images = view.shape.empty() ? 0 : view.shape[0];
      if (step.images_ == 0) step.images_ = images;
      if (images == 0 || images != step.images_) {
        faults.push_back(absl::StrCat(described, ": must begin with the number of images, ",
                                      step.images_ == 0 ? "at least 1" : absl::StrCat(step.images_, " as before")));
      }
    }
    RETORT_ASSIGN_OR_RETURN(step.tensors_[view.name], Copy(view));
  }
  for (const std::string& name : names.needed) faults.push_back(absl::StrCat(name, ": missing"));
  if (faults.empty()) return step;
  return absl::InvalidArgumentError(absl::StrCat(file.path(), ": ", absl::StrJoin(faults, "\n"),
                                                 "\nthe objective reads ", absl::StrJoin(listed, ", ")));
}

absl::StatusOr<BareStep::Built> BareStep::Build(int64_t images) const {
  Built built;
  std::map<std::string, at::Tensor> part;
  for (const auto& [name, tensor] : tensors_) {
    const bool student = absl::StartsWith(name, "student.");
    at::Tensor& here = part[name] = (OfTheHead(name) ? tensor : tensor.slice(0, 0, images)).clone();
    if (student) built.leaves.emplace_back(name, here.set_requires_grad(true));
  }
  const auto find = [&part](const std::string& name) {
    const auto found = part.find(name);
    return found == part.end() ? at::Tensor() : found->second;
  };
  kd::Step& step = built.step;
  step.images = find("images");
  if (step.images.defined()) step.images.set_requires_grad(true);
  step.labels = find("labels");
  step.index = find("index");
  step.negatives = find("negatives");
  step.student.distillation_logits = find("student.distillation_logits");
  step.student.embedding = find("student.embedding");
  step.teacher.logits = find("teacher.logits");
  step.teacher.embedding = find("teacher.embedding");
  step.teacher.gradients.images = find("teacher.gradient.images");
  std::vector<at::Tensor> rows;  // of the head
  if (step.images.defined()) rows.push_back(step.images.flatten(1));
  for (const auto& [name, tensor] : part) {
    if (absl::StartsWith(name, kGradient) && name != "teacher.gradient.images") {
      if (tensor.dim() == 4) step.teacher.gradients.maps[name.substr(sizeof(kGradient) - 1)] = tensor.abs().mean(1);
    } else if (absl::StartsWith(name, "teacher.")) {
      const std::string tap = name.substr(sizeof("teacher.") - 1);
      step.teacher.taps[tap] = tensor;
      if (tensor.dim() == 4) step.teacher.maps[tap] = tensor.square().mean(1);
    } else if (student_taps_.count(name) > 0) {
      step.student.taps[name.substr(sizeof("student.") - 1)] = tensor;
      rows.push_back(tensor.dim() > 1 ? tensor.flatten(1) : tensor.unsqueeze(1));
    }
  }
  step.student.logits = find(kStudentLogits);
  const at::Tensor weight = find(kHeadWeight), bias = find(kHeadBias);
  if (!weight.defined()) return built;
  const at::Tensor x = rows.empty() ? at::Tensor() : at::cat(rows, 1);
  if (!x.defined() || weight.dim() != 2 || weight.size(1) != x.size(1) ||
      (bias.defined() && (bias.dim() != 1 || bias.size(0) != weight.size(0)))) {
    return absl::InvalidArgumentError(absl::StrCat(kHeadWeight, " [", absl::StrJoin(weight.sizes(), ","),
                                                   "]: must be [K,", x.defined() ? x.size(1) : 0,
                                                   "], after images and taps of the student, and ", kHeadBias, " [K]"));
  }
  step.student.logits = at::linear(x, weight, bias);
  return built;
}

int64_t BareStep::samples() const {
  const auto index = tensors_.find("index");
  return index == tensors_.end() ? images_ : index->second.max().item<int64_t>() + 1;
}

}  // namespace retort::tools
