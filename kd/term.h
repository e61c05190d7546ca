// One summand of an objective. To add one: a message and a line in kd/objective.proto, kd/terms/x.{h,cc} and x_test.cc,
// one case in kd/objective.cc, lines in kd/terms/BUILD.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"

#include "retort/nn/model.h"

namespace retort::kd {

// Everything a term may look at. Views are folded into the batch: B here is V * B of the batcher.
struct Step {
  nn::Outputs student;
  nn::Outputs teacher;  // only what some term asked for is defined; never requires gradients
  at::Tensor labels;    // i64 [B]
};

// What a term reads of each side.
struct Needs {
  nn::Request student;
  bool teacher = false;  // reads the teacher's logits or `teacher_outputs`
  nn::Request teacher_outputs;
};

class Term {
 public:
  virtual ~Term() = default;

  // "cross_entropy": the field's name in kd/objective.proto.
  virtual const char* name() const = 0;
  virtual Needs needs() const = 0;

  // A scalar, differentiable in the student's outputs. InvalidArgument names the shapes that do not fit together.
  virtual absl::StatusOr<at::Tensor> Compute(const Step& step) const = 0;
};

}  // namespace retort::kd
