#include "retort/kd/terms/embeddings.h"

#include "absl/strings/str_cat.h"

#include "retort/kd/terms/shapes.h"

namespace retort::kd {

Needs EmbeddingNeeds() {
  Needs needs;
  needs.student.embedding = true;
  needs.targets.embedding = true;
  return needs;
}

absl::Status CheckEmbeddings(const Step& step, absl::string_view term) {
  const at::Tensor& student = step.student.embedding;
  const at::Tensor& teacher = step.teacher.embedding;
  if (student.defined() && teacher.defined() && student.dim() == 2 && teacher.dim() == 2 &&
      student.size(0) == teacher.size(0)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(term, ": embeddings of the student ", ShapeText(student),
                                                 " and of the teacher ", ShapeText(teacher),
                                                 " must be [B,D_s] and [B,D_t] with the same B"));
}

}  // namespace retort::kd
