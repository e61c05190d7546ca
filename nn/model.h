// What every model of the zoo is to the rest of the project.
//
// This header costs little to include: the module graph (torch/nn) stays in the families' .cc files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace retort::nn {

// What a model is built for.
struct ModelShape {
  int64_t channels = 3;  // C
  int64_t height = 32;   // H
  int64_t width = 32;    // W
  int64_t classes = 10;  // K
};

// What a caller wants beside the logits.
struct Request {
  bool embedding = false;
  // Names from Model::TapNames(), each once.
  std::vector<std::string> taps;
};

struct Outputs {
  at::Tensor logits;                       // [B,K]
  at::Tensor distillation_logits;          // [B,K] of a distillation token, in training alone; undefined without one
  at::Tensor embedding;                    // [B,D], undefined unless asked for
  std::map<std::string, at::Tensor> taps;  // exactly those asked for, mostly [B,C,H,W]
};

using NamedTensor = std::pair<std::string, at::Tensor>;

class Model {
 public:
  virtual ~Model() = default;

  // images: f32 [B,C,H,W], normalised. Computes only what is asked for.
  virtual Outputs Forward(const at::Tensor& images, const Request& request) = 0;

  // Inner tensors that can be asked for, from input to output.
  virtual std::vector<std::string> TapNames() const = 0;

  // Trained tensors and other state (running statistics), under their state_dict names. They share the model's storage.
  virtual std::vector<NamedTensor> Parameters() const = 0;
  virtual std::vector<NamedTensor> Buffers() const = 0;

  // `stored`, a tensor `name` of another shape than this model's, made to fit it, such as position embeddings of
  // another image size; undefined where nothing can be made of it.
  virtual at::Tensor Refit(absl::string_view /*name*/, const at::Tensor& /*stored*/) const { return {}; }

  // Training mode turns on dropout and batch statistics. A new model is in training mode.
  virtual void SetTraining(bool training) = 0;
};

// InvalidArgument unless C, H, W and K are positive. `family` names the model in the error: "resnet".
absl::Status CheckShape(const ModelShape& shape, absl::string_view family);

// InvalidArgument if `request` asks for a tap that `model` has not. `whose` names the model in the error: "student".
absl::Status CheckRequest(const Model& model, const Request& request, absl::string_view whose);

}  // namespace retort::nn
