// One summand of an objective. To add one: a message and a line in kd/objective.proto, kd/terms/x.{h,cc} and x_test.cc,
// one case in kd/objective.cc, lines in kd/terms/BUILD.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/nn/model.h"

namespace retort::kd {

// Of J = d(sum_b CE_b)/d(.) of a model: row b depends on image b alone.
struct Gradients {
  at::Tensor images;                       // J by the images, [B,C,H,W]
  std::map<std::string, at::Tensor> maps;  // mean_c |J| by taps [B,C,H,W]: [B,H,W]
};

// What a teacher says of a batch: its outputs, and maps and gradients where a term needs them.
struct Targets : nn::Outputs {
  std::map<std::string, at::Tensor> maps;  // mean_c F^2 of taps F [B,C,H,W]: [B,H,W]
  Gradients gradients;
};

// Everything a term may look at. Views are folded into the batch: B here is V * B of the batcher.
struct Step {
  nn::Outputs student;
  Targets teacher;    // only what some term asked for is defined; never requires gradients
  at::Tensor images;  // f32 [B,C,H,W]; the student's logits are differentiable by them if a term says so in its needs
  at::Tensor labels;  // i64 [B]
  at::Tensor index;   // i64 [B], which images of the training set
  // Where images are mixed with others, otherwise undefined: the share of `labels`, the rest being that of
  // `partner_labels`. Validation of configs says which terms permit it.
  at::Tensor lambda;          // f32 [B], 0..1
  at::Tensor partner_labels;  // i64 [B]
  // i64 [B,M], images that each one is contrasted with; undefined, as in a training: the term draws them.
  at::Tensor negatives;
  int64_t epoch = 0;  // from 0
};

struct GradientRequest {
  bool images = false;
  std::vector<std::string> maps;  // names of taps
};

// What is wanted of Targets, each name once.
struct TargetRequest : nn::Request {
  bool logits = false;
  std::vector<std::string> maps;  // names of taps
  GradientRequest gradients;

  // Nothing, or logits.
  bool LogitsAlone() const {
    return !embedding && taps.empty() && maps.empty() && !gradients.images && gradients.maps.empty();
  }
  bool empty() const { return !logits && LogitsAlone(); }
};

// What a term reads of each side.
struct Needs {
  nn::Request student;
  bool student_image_gradient = false;
  TargetRequest targets;

  bool teacher() const { return !targets.empty(); }
};

class Term {
 public:
  virtual ~Term() = default;

  // "cross_entropy": the field's name in kd/objective.proto.
  virtual const char* name() const = 0;
  virtual Needs needs() const = 0;

  // Called once, before Compute, with a step of the shapes to come (B = 2 at most) and the number of training images:
  // makes the learnable parts, on the student's device and of its type, from LibTorch's default generator.
  // InvalidArgument names the taps whose shapes do not fit together.
  // By default: whether Compute accepts the example.
  virtual absl::Status Prepare(const Step& example, int64_t /*samples*/) { return Compute(example).status(); }

  // A scalar, differentiable in the student's outputs and in Parameters(). InvalidArgument names the shapes that do not
  // fit together.
  virtual absl::StatusOr<at::Tensor> Compute(const Step& step) = 0;

  // Learnable parts (projections) and other state (memory banks): trained, checkpointed and resumed with the student,
  // and no part of it. They share the term's storage.
  virtual std::vector<nn::NamedTensor> Parameters() const { return {}; }
  virtual std::vector<nn::NamedTensor> Buffers() const { return {}; }
};

}  // namespace retort::kd
