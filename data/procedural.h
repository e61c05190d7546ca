// A built-in image set: one shape on each image, to be told from nine others.
//
// 32x32 RGB, 10 classes: disc, ring, square, frame, triangle, cross, star, crescent, stripes, checker. Place, size,
// rotation, proportions, colours, textures, lighting and noise are drawn without regard to the class, and pieces of
// other shapes lie about, so neither colour nor mean nor a single pixel gives the class away; one has to see the shape.
#pragma once

#include "absl/status/statusor.h"

#include "retort/data/dataset.h"
#include "retort/data/dataset.pb.h"

namespace retort::data {

// The data set "procedural". Image i of a split has class i mod 10 and is a function of (seed, split, i) alone, so a
// longer split begins with the shorter one. Integer arithmetic throughout: the same bytes on every machine.
// InvalidArgument if a size is not positive.
absl::StatusOr<DatasetSplits> MakeProcedural(const config::Procedural& config);

}  // namespace retort::data
