// A step of a training without models: its tensors are in a file.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/data/io/weights/weight_file.h"
#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"
#include "retort/nn/model.h"

namespace retort::tools {

// Prefix of an objective's own parts in a file: "objective.crd.bank.student".
inline constexpr char kPartPrefix[] = "objective.";

// Tensors of B images:
//
//   student.logits, teacher.logits, student.distillation_logits [B,K]
//   student.embedding, teacher.embedding [B,D]
//   student.<tap>, teacher.<tap> [B,...]
//   images [B,...]
//   teacher.gradient.images, teacher.gradient.<tap>: d(sum_b CE_b)/d(.), shaped as images and tap
//   labels, index i64 [B]; negatives i64 [B,M]
//   student.head.weight [K,D], student.head.bias [K]: in place of student.logits, where they must depend on images or
//       taps: logits = weight x + bias, x [B,D] the images, if they are there, and all the student's taps in order of
//       name, each as a row an image, side by side
//
// All but labels, index and negatives are f32, or all f64.
class BareStep {
 public:
  // InvalidArgument lists every tensor of `file` that is missing, not used, of another type or another B, and what an
  // objective of these needs reads. Names that begin with kPartPrefix are passed over.
  static absl::StatusOr<BareStep> Create(const data::WeightFile& file, const config::Objective& objective,
                                         const kd::Needs& needs);

  // Of the first `images` of them; all of the student's tensors are leaves, new at each call. InvalidArgument where the
  // head does not fit.
  struct Built {
    kd::Step step;
    std::vector<nn::NamedTensor> leaves;  // "student.logits", ...
  };
  absl::StatusOr<Built> Build(int64_t images) const;

  int64_t images() const { return images_; }
  // One more than the greatest index of an image.
  int64_t samples() const;

 private:
  std::map<std::string, at::Tensor> tensors_;
  std::set<std::string> student_taps_;
  int64_t images_ = 0;
};

}  // namespace retort::tools
