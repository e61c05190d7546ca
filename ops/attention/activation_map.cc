#include "retort/ops/attention/activation_map.h"

#include "retort/ops/attention/activation_map_backward_interleaved_any_op.h"
#include "retort/ops/attention/activation_map_backward_interleaved_any_op_cuda.h"
#include "retort/ops/attention/activation_map_backward_interleaved_any_op_opencl.h"
#include "retort/ops/attention/activation_map_backward_interleaved_square_op.h"
#include "retort/ops/attention/activation_map_backward_interleaved_square_op_cuda.h"
#include "retort/ops/attention/activation_map_backward_interleaved_square_op_opencl.h"
#include "retort/ops/attention/activation_map_backward_planar_any_op.h"
#include "retort/ops/attention/activation_map_backward_planar_any_op_cuda.h"
#include "retort/ops/attention/activation_map_backward_planar_any_op_opencl.h"
#include "retort/ops/attention/activation_map_backward_planar_square_op.h"
#include "retort/ops/attention/activation_map_backward_planar_square_op_cuda.h"
#include "retort/ops/attention/activation_map_backward_planar_square_op_opencl.h"
#include "retort/ops/attention/activation_map_interleaved_any_op.h"
#include "retort/ops/attention/activation_map_interleaved_any_op_cuda.h"
#include "retort/ops/attention/activation_map_interleaved_any_op_opencl.h"
#include "retort/ops/attention/activation_map_interleaved_square_op.h"
#include "retort/ops/attention/activation_map_interleaved_square_op_cuda.h"
#include "retort/ops/attention/activation_map_interleaved_square_op_opencl.h"
#include "retort/ops/attention/activation_map_planar_any_op.h"
#include "retort/ops/attention/activation_map_planar_any_op_cuda.h"
#include "retort/ops/attention/activation_map_planar_any_op_opencl.h"
#include "retort/ops/attention/activation_map_planar_square_op.h"
#include "retort/ops/attention/activation_map_planar_square_op_cuda.h"
#include "retort/ops/attention/activation_map_planar_square_op_opencl.h"
#include "retort/ops/attention/attention_arguments.h"
#include "retort/ops/call_halide.h"

namespace retort::ops {

absl::Status ActivationMap(halide_buffer_t* features, const ActivationMapParameters& parameters, halide_buffer_t* map,
                           const Device& device) {
  CheckAttention check("activation_map", features, parameters, device);
  check.OutputMap("map", map);
  if (!check.status().ok() || check.batch() == 0) return check.status();
  Places places({features, map});
  check.FitsDevice(places);
  if (!check.status().ok()) return check.status();
  const auto call = [&](auto host, auto cuda, auto opencl) {
    return CallHalide("activation_map", device, host, cuda, opencl, places[0], static_cast<int32_t>(parameters.kind),
                      parameters.normalize, places[1]);
  };
  const bool square = parameters.kind == ActivationKind::kMeanSquare;
  if (check.interleaved()) {
    return square ? call(activation_map_interleaved_square_op, activation_map_interleaved_square_op_cuda,
                         activation_map_interleaved_square_op_opencl)
                  : call(activation_map_interleaved_any_op, activation_map_interleaved_any_op_cuda,
                         activation_map_interleaved_any_op_opencl);
  }
  return square ? call(activation_map_planar_square_op, activation_map_planar_square_op_cuda,
                       activation_map_planar_square_op_opencl)
                : call(activation_map_planar_any_op, activation_map_planar_any_op_cuda,
                       activation_map_planar_any_op_opencl);
}

absl::Status ActivationMapBackward(halide_buffer_t* features, halide_buffer_t* map_gradient,
                                   const ActivationMapParameters& parameters, halide_buffer_t* gradient,
                                   const Device& device) {
  CheckAttention check("activation_map_backward", features, parameters, device);
  check.Map("map_gradient", map_gradient);
  check.Gradient(gradient);
  if (!check.status().ok() || check.batch() == 0) return check.status();
  Places places({features, map_gradient, gradient});
  check.FitsDevice(places);
  if (!check.status().ok()) return check.status();
  const auto call = [&](auto host, auto cuda, auto opencl) {
    return CallHalide("activation_map_backward", device, host, cuda, opencl, places[0], places[1],
                      static_cast<int32_t>(parameters.kind), parameters.normalize, places[2]);
  };
  const bool square = parameters.kind == ActivationKind::kMeanSquare;
  if (check.interleaved()) {
    return square
               ? call(activation_map_backward_interleaved_square_op, activation_map_backward_interleaved_square_op_cuda,
                      activation_map_backward_interleaved_square_op_opencl)
               : call(activation_map_backward_interleaved_any_op, activation_map_backward_interleaved_any_op_cuda,
                      activation_map_backward_interleaved_any_op_opencl);
  }
  return square ? call(activation_map_backward_planar_square_op, activation_map_backward_planar_square_op_cuda,
                       activation_map_backward_planar_square_op_opencl)
                : call(activation_map_backward_planar_any_op, activation_map_backward_planar_any_op_cuda,
                       activation_map_backward_planar_any_op_opencl);
}

}  // namespace retort::ops
