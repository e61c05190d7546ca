#include "retort/kd/terms/tap_pairs.h"

#include <algorithm>
#include <string>
#include <vector>

#include "ATen/ops/adaptive_avg_pool2d.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/shapes.h"

namespace retort::kd {
namespace {

void Add(const std::string& tap, std::vector<std::string>* taps) {
  if (std::find(taps->begin(), taps->end(), tap) == taps->end()) taps->push_back(tap);
}

at::Tensor Tap(const std::map<std::string, at::Tensor>& taps, const std::string& name) {
  const auto tap = taps.find(name);
  return tap == taps.end() ? at::Tensor() : tap->second;
}

// True if `large` is nowhere smaller than `small`.
bool Covers(const at::Tensor& large, const at::Tensor& small) {
  return large.size(2) >= small.size(2) && large.size(3) >= small.size(3);
}

// [B,C,H',W'] -> [B,C,H,W]
at::Tensor PooledTo(const at::Tensor& features, int64_t height, int64_t width) {
  const bool pool = features.size(2) != height || features.size(3) != width;
  return pool ? at::adaptive_avg_pool2d(features, {height, width}) : features;
}

// Both taps of the pair; a TapFault unless they are there, of a rank that `fits`, and of the same B.
absl::StatusOr<FeatureMaps> TapsOf(const Step& step, const config::TapPair& pair, absl::string_view term,
                                   bool (*fits)(int64_t rank), absl::string_view demand) {
  const FeatureMaps maps = {Tap(step.student.taps, pair.student()), Tap(step.teacher.taps, pair.teacher())};
  if (!maps.student.defined() || !maps.teacher.defined() || !fits(maps.student.dim()) || !fits(maps.teacher.dim()) ||
      maps.student.size(0) != maps.teacher.size(0)) {
    return TapFault(pair, maps, term, demand);
  }
  return maps;
}

}  // namespace

Needs TapNeeds(const TapPairs& pairs) {
  Needs needs;
  for (const config::TapPair& pair : pairs) {
    Add(pair.student(), &needs.student.taps);
    Add(pair.teacher(), &needs.targets.taps);
  }
  return needs;
}

absl::Status TapFault(const config::TapPair& pair, const FeatureMaps& maps, absl::string_view term,
                      absl::string_view demand) {
  return absl::InvalidArgumentError(absl::StrCat(term, ": student tap \"", pair.student(), "\" ",
                                                 ShapeText(maps.student), " and teacher tap \"", pair.teacher(), "\" ",
                                                 ShapeText(maps.teacher), " must be ", demand));
}

absl::StatusOr<FeatureMaps> Features(const Step& step, const config::TapPair& pair, absl::string_view term) {
  return TapsOf(
      step, pair, term, [](int64_t rank) { return rank >= 2; }, "[B,...] with the same B");
}

absl::StatusOr<FeatureMaps> Maps(const Step& step, const config::TapPair& pair, absl::string_view term) {
  return TapsOf(
      step, pair, term, [](int64_t rank) { return rank == 4; }, "[B,C,H,W] with the same B");
}

absl::StatusOr<FeatureMaps> PooledMaps(const Step& step, const config::TapPair& pair, absl::string_view term) {
  RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Maps(step, pair, term));
  return Pooled(maps, pair, term);
}

absl::StatusOr<FeatureMaps> Pooled(const FeatureMaps& maps, const config::TapPair& pair, absl::string_view term) {
  if (!Covers(maps.student, maps.teacher) && !Covers(maps.teacher, maps.student)) {
    return TapFault(pair, maps, term, "[B,C,H,W], one at least as high and as wide as the other");
  }
  const int64_t height = std::min(maps.student.size(2), maps.teacher.size(2));
  const int64_t width = std::min(maps.student.size(3), maps.teacher.size(3));
  return FeatureMaps{PooledTo(maps.student, height, width), PooledTo(maps.teacher, height, width)};
}

absl::StatusOr<FeatureMaps> PooledPlaces(const at::Tensor& student, const std::map<std::string, at::Tensor>& teacher,
                                         const config::TapPair& pair, absl::string_view term) {
  const FeatureMaps maps = {student, Tap(teacher, pair.teacher())};
  if (!maps.student.defined() || !maps.teacher.defined() || maps.student.dim() != 3 || maps.teacher.dim() != 3 ||
      maps.student.size(0) != maps.teacher.size(0)) {
    return TapFault(pair, maps, term, "maps [B,H,W] with the same B");
  }
  RETORT_ASSIGN_OR_RETURN(const FeatureMaps pooled,
                          Pooled({maps.student.unsqueeze(1), maps.teacher.unsqueeze(1)}, pair, term));
  return FeatureMaps{pooled.student.squeeze(1), pooled.teacher.squeeze(1)};
}

absl::StatusOr<at::Tensor> StudentMap(const Step& step, const config::TapPair& pair, absl::string_view term) {
  const at::Tensor features = Tap(step.student.taps, pair.student());
  if (features.defined() && features.dim() == 4) return features;
  return absl::InvalidArgumentError(
      absl::StrCat(term, ": student tap \"", pair.student(), "\" ", ShapeText(features), " must be [B,C,H,W]"));
}

}  // namespace retort::kd
