#include "retort/ops/augment/mix_images.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

#include "retort/ops/augment/mix_images_op.h"
#include "retort/ops/augment/mix_images_op_cuda.h"
#include "retort/ops/augment/mix_images_op_opencl.h"
#include "retort/ops/call_halide.h"
#include "retort/ops/check_arguments.h"

namespace retort::ops {
namespace {

void CheckWeights(CheckArguments& check, const halide_buffer_t& weights) {
  for (int64_t b = 0; check.ok() && b < weights.dim[1].extent; ++b) {
    for (int64_t k = 0; k < weights.dim[0].extent; ++k) {
      const float weight =
          reinterpret_cast<const float*>(weights.host)[b * weights.dim[1].stride + k * weights.dim[0].stride];
      check.Condition(weight >= 0 && weight <= 1,
                      [&] { return absl::StrCat("weights[", b, ",", k, "] is ", weight, "; permitted are 0..1"); });
    }
  }
}

}  // namespace

absl::Status MixImages(halide_buffer_t* images, halide_buffer_t* weights, halide_buffer_t* output,
                       const Device& device) {
  CheckArguments check("mix_images", device);
  check.Buffer("images", images, {halide_type_of<uint8_t>()}, 3);
  check.Buffer("weights", weights, {halide_type_of<float>()}, 2);
  check.Output("output", output, {halide_type_of<uint8_t>()}, 2);
  if (!check.ok()) return check.status();
  const int batch = images->dim[2].extent, sources = images->dim[1].extent, values = images->dim[0].extent;
  check.Condition(sources > 0, [] { return "images has no image to mix; give K of at least 1"; });
  check.Shape("weights", *weights, "[B,K]", {batch, sources});
  check.Shape("output", *output, "[B,P]", {batch, values});
  check.Grid("images", batch);
  if (device.kind == Device::Kind::kHost) CheckWeights(check, *weights);
  if (!check.ok()) return check.status();
  if (output->number_of_elements() == 0) return absl::OkStatus();
  return CallHalide("mix_images", device, mix_images_op, mix_images_op_cuda, mix_images_op_opencl, images, weights,
                    output);
}

}  // namespace retort::ops
