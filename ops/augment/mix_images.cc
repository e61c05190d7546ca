#include "retort/ops/augment/mix_images.h"

#include <cstdint>

#include "retort/ops/augment/mix_images_op.h"
#include "retort/ops/augment/mix_images_op_cuda.h"
#include "retort/ops/augment/mix_images_op_opencl.h"
#include "retort/ops/call_halide.h"
#include "retort/ops/check_arguments.h"

namespace retort::ops {

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
  if (!check.ok()) return check.status();
  if (output->number_of_elements() == 0) return absl::OkStatus();
  return CallHalide("mix_images", device, mix_images_op, mix_images_op_cuda, mix_images_op_opencl, images, weights,
                    output);
}

}  // namespace retort::ops
