// Student's features made to fit the teacher's.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"
#include "retort/kd/terms/layers.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {

// One projection for each pair of a term:
//
//   NONE           as they are
//   CONV_1X1       [B,C_s,H,W] -> [B,C_t,H,W]
//   CONV_3X3       the same, with zero padding 1
//   CONV_TO_SIZE   [B,C_s,H_s,W_s] -> [B,C_t,H_t,W_t]: 3x3 of stride 2 and padding 1 where H_s = 2 H_t; transposed 4x4
//                  of stride 2 and padding 1 where 2 H_s = H_t; (1 + H_s - H_t) x (1 + W_s - W_t) where H_s >= H_t and
//                  W_s >= W_t; other sizes are refused. Source: HobbitLong/RepDistiller, models/util.py, ConvReg
//   LINEAR         [B,D_s] -> [B,D_t], [B,T,D_s] -> [B,T,D_t]
//
// then batch norm (in training mode) and ReLU where they are asked for. Convolutions have a bias. Maps of different
// size are first average-pooled, the larger to the smaller size; not for CONV_TO_SIZE. Parts are named "0.conv.weight",
// "0.norm.running_mean", "0.linear.bias" after the pair's position.
class Projections {
 public:
  Projections(const config::Projection& config, const TapPairs& pairs, const char* term)
      : config_(config), pairs_(pairs), term_(term) {}

  // Makes the learnable parts; see Term::Prepare. InvalidArgument names the taps whose shapes do not fit together.
  absl::Status Prepare(const Step& example);

  // Of pair i, both of one shape. InvalidArgument names the taps and their shapes; FailedPrecondition before Prepare.
  absl::StatusOr<FeatureMaps> Apply(const Step& step, int i) const;

  int size() const { return pairs_.size(); }
  const TapPairs& pairs() const { return pairs_; }
  const char* term() const { return term_; }
  const std::vector<nn::NamedTensor>& parameters() const { return parts_.parameters(); }
  const std::vector<nn::NamedTensor>& buffers() const { return parts_.buffers(); }

 private:
  struct Layers {
    std::optional<Convolution> convolution;
    std::optional<Linear> linear;
    std::optional<BatchNorm> norm;
  };

  // As they are before the projection: pooled where that is due.
  absl::StatusOr<FeatureMaps> Inputs(const Step& step, int i) const;
  absl::StatusOr<ConvolutionShape> Shape(const FeatureMaps& maps, int i) const;

  const config::Projection config_;
  const TapPairs pairs_;
  const char* const term_;
  Parts parts_;
  std::vector<Layers> layers_;
};

// A term of projected pairs, whose learnable parts are the projections.
class ProjectingTerm : public Term {
 public:
  const char* name() const override { return projections_.term(); }
  Needs needs() const override { return TapNeeds(projections_.pairs()); }
  absl::Status Prepare(const Step& example, int64_t /*samples*/) override { return projections_.Prepare(example); }
  std::vector<nn::NamedTensor> Parameters() const override { return projections_.parameters(); }
  std::vector<nn::NamedTensor> Buffers() const override { return projections_.buffers(); }

 protected:
  ProjectingTerm(const config::Projection& config, const TapPairs& pairs, const char* name)
      : projections_(config, pairs, name) {}

  const Projections& projections() const { return projections_; }

 private:
  Projections projections_;
};

}  // namespace retort::kd
