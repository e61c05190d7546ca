// Pairs of taps that a term compares.
#pragma once

#include <map>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

using TapPairs = google::protobuf::RepeatedPtrField<config::TapPair>;

// What a term needs that reads both sides' taps: each once, and a teacher.
Needs TapNeeds(const TapPairs& pairs);

struct FeatureMaps {
  at::Tensor student;  // [B,C_s,H_s,W_s], of Features [B,...]
  at::Tensor teacher;  // [B,C_t,H_t,W_t]
};

// InvalidArgument, in the name of `term`, unless both taps are there and [B,C,H,W] with the same B.
absl::StatusOr<FeatureMaps> Maps(const Step& step, const config::TapPair& pair, absl::string_view term);

// The larger map of the pair average-pooled (adaptively) to the smaller one's H and W. InvalidArgument also if neither
// is the larger one in both height and width.
absl::StatusOr<FeatureMaps> PooledMaps(const Step& step, const config::TapPair& pair, absl::string_view term);

// The same of maps [B,C,H,W] made of the pair's taps.
absl::StatusOr<FeatureMaps> Pooled(const FeatureMaps& maps, const config::TapPair& pair, absl::string_view term);

// The student's tap; InvalidArgument unless it is there and [B,C,H,W].
absl::StatusOr<at::Tensor> StudentMap(const Step& step, const config::TapPair& pair, absl::string_view term);

// Maps [B,H,W] made of one value a place: the student's, and of `teacher` the one of the pair's tap; the larger one
// average-pooled to the smaller one's H and W. InvalidArgument if one is missing, B differs or neither is the larger.
absl::StatusOr<FeatureMaps> PooledPlaces(const at::Tensor& student, const std::map<std::string, at::Tensor>& teacher,
                                         const config::TapPair& pair, absl::string_view term);

// Both taps of any rank; InvalidArgument unless they are there, of two dimensions at least and the same B.
absl::StatusOr<FeatureMaps> Features(const Step& step, const config::TapPair& pair, absl::string_view term);

// InvalidArgument that names the pair and the shapes of `maps`: "...must be <demand>".
absl::Status TapFault(const config::TapPair& pair, const FeatureMaps& maps, absl::string_view term,
                      absl::string_view demand);

}  // namespace retort::kd
