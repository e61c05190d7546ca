#include "retort/ops/batch_assembly/batch_assembly.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

#include "retort/ops/call_halide.h"
#include "retort/ops/check_arguments.h"

namespace retort::ops {

// What batch_assembly_generator.cc makes, for each element of the output: a function for the host and, for a GPU, one a
// layout. All are linked by their names and types.
using HostFunction = int(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params,
                         halide_buffer_t* lambda, halide_buffer_t* mix_box, halide_buffer_t* scale,
                         halide_buffer_t* offset, bool reflect, halide_buffer_t* output);
using DeviceFunction = int(const void* user_context, halide_buffer_t* images, halide_buffer_t* index,
                           halide_buffer_t* params, halide_buffer_t* lambda, halide_buffer_t* mix_box,
                           halide_buffer_t* scale, halide_buffer_t* offset, bool reflect, halide_buffer_t* output);
struct Variant {
  DeviceFunction* cuda;
  DeviceFunction* opencl;
};
struct Variants {
  HostFunction* host;
  Variant any, planar, interleaved;
};
#define RETORT_VARIANTS(name)                                                           \
  HostFunction name;                                                                    \
  DeviceFunction name##_cuda, name##_planar_cuda, name##_interleaved_cuda;              \
  DeviceFunction name##_opencl, name##_planar_opencl, name##_interleaved_opencl;        \
  namespace {                                                                           \
  constexpr Variants k_##name = {name,                                                  \
                                 {name##_cuda, name##_opencl},                          \
                                 {name##_planar_cuda, name##_planar_opencl},            \
                                 {name##_interleaved_cuda, name##_interleaved_opencl}}; \
  }
RETORT_VARIANTS(batch_assembly_uint8)
RETORT_VARIANTS(batch_assembly_float32)
RETORT_VARIANTS(batch_assembly_float16)
RETORT_VARIANTS(batch_assembly_bfloat16)
RETORT_VARIANTS(batch_assembly_mixed_float32)
RETORT_VARIANTS(batch_assembly_mixed_float16)
RETORT_VARIANTS(batch_assembly_mixed_bfloat16)
#undef RETORT_VARIANTS

namespace {

// Farther shifts show nothing else, and sums of coordinates stay far from 2^31.
constexpr int32_t kFarthestShift = 1 << 20;
// What a thread of a GPU stores at once where it can.
constexpr int kRunBytes = 8;

// Another view of a buffer's memory; what Halide notes about that memory goes to the buffer.
class Reshaped {
 public:
  explicit Reshaped(halide_buffer_t* from) : buffer(*from), from_(from) {
    for (int i = 0; i < from->dimensions; ++i) dim[static_cast<size_t>(i)] = from->dim[i];
    buffer.dim = dim.data();
  }
  Reshaped(const Reshaped&) = delete;
  Reshaped& operator=(const Reshaped&) = delete;
  ~Reshaped() { from_->flags = buffer.flags; }

  halide_buffer_t buffer;
  std::array<halide_dimension_t, 4> dim = {};

 private:
  halide_buffer_t* from_;
};

// [B,...] as [B,1,...].
class WithOneSource : public Reshaped {
 public:
  explicit WithOneSource(halide_buffer_t* from) : Reshaped(from) {
    const auto last = static_cast<size_t>(buffer.dimensions++);
    dim[last] = dim[last - 1];
    dim[last - 1] = {0, 1, 0, 0};
  }
};

// An argument that a variant does not look at, but has.
struct Unused {
  Unused(halide_type_t type, int dimensions) {
    buffer.host = reinterpret_cast<uint8_t*>(this);
    buffer.type = type;
    buffer.dimensions = dimensions;
    buffer.dim = dim.data();
  }

  halide_buffer_t buffer = {};
  std::array<halide_dimension_t, 2> dim = {};
};

// Contents of a buffer on the host; indices from the innermost dimension.
template <typename T>
T At(const halide_buffer_t& buffer, int i, int j = 0, int k = 0) {
  int64_t place = int64_t{i} * buffer.dim[0].stride;
  if (buffer.dimensions > 1) place += int64_t{j} * buffer.dim[1].stride;
  if (buffer.dimensions > 2) place += int64_t{k} * buffer.dim[2].stride;
  return reinterpret_cast<const T*>(buffer.host)[place];
}

// Arguments of a generated function, index and params with a dimension of sources.
struct Arguments {
  absl::string_view op;
  halide_buffer_t *images, *index, *params, *lambda, *mix_box, *scale, *offset;
  Border border;
  halide_buffer_t* output;
  Device device;
};

absl::Status CheckContents(const Arguments& a) {
  for (const auto& [name, numbers] : {std::pair{"scale", a.scale}, {"offset", a.offset}}) {
    for (int c = 0; c < numbers->dim[0].extent; ++c) {
      if (const float number = At<float>(*numbers, c); !std::isfinite(number)) {
        return absl::InvalidArgumentError(
            absl::StrFormat("%s: %s[%d] is %g; give a finite one", a.op, name, c, number));
      }
    }
  }
  const int size = a.images->dim[3].extent, height = a.images->dim[2].extent, width = a.images->dim[1].extent;
  const int sources = a.index->dim[0].extent, batch = a.index->dim[1].extent;
  for (int b = 0; b < batch; ++b) {
    for (int s = 0; s < sources; ++s) {
      const auto which = [&] { return sources == 1 ? absl::StrFormat("[%d]", b) : absl::StrFormat("[%d,%d]", b, s); };
      const int64_t image = At<int64_t>(*a.index, s, b);
      if (image < 0 || image >= size) {
        return absl::OutOfRangeError(absl::StrFormat("%s: index%s = %d, but images has %d; permitted are 0..%d", a.op,
                                                     which(), image, size, size - 1));
      }
      for (const int axis : {0, 1}) {
        const int32_t shift = At<int32_t>(*a.params, axis, s, b);
        const int32_t farthest = a.border == Border::kZero ? kFarthestShift : (axis == 0 ? height : width) - 1;
        if (shift < -farthest || shift > farthest) {
          return absl::InvalidArgumentError(absl::StrFormat("%s: %s of params%s is %d; permitted are -%d..%d", a.op,
                                                            axis == 0 ? "dy" : "dx", which(), shift, farthest,
                                                            farthest));
        }
      }
      const int32_t flip = At<int32_t>(*a.params, 2, s, b);
      if (flip != 0 && flip != 1) {
        return absl::InvalidArgumentError(
            absl::StrFormat("%s: flip of params%s is %d; permitted are 0 and 1", a.op, which(), flip));
      }
    }
    if (const float lambda = sources == 2 ? At<float>(*a.lambda, b) : 0; !(lambda >= 0 && lambda <= 1)) {
      return absl::InvalidArgumentError(absl::StrFormat("%s: lambda[%d] is %g; permitted are 0..1", a.op, b, lambda));
    }
  }
  return absl::OkStatus();
}

int Call(const Device& device, const Variant& variant, const Arguments& a, halide_buffer_t* output) {
  DeviceFunction* function = device.kind == Device::Kind::kCuda ? variant.cuda : variant.opencl;
  return function(device.cuda, a.images, a.index, a.params, a.lambda, a.mix_box, a.scale, a.offset,
                  a.border == Border::kReflect, output);
}

// On a GPU: the output in runs of 8 bytes if its layout has them. A run of whole pixels comes from dense ones: with any
// strides, it would take more registers than a thread has.
int CallOnDevice(const Variants& variants, const Arguments& a) {
  const int bytes = a.output->type.bytes(), run = kRunBytes / bytes;
  const int channels = a.output->dim[2].extent, width = a.output->dim[0].extent;
  const bool planar = a.output->dim[0].stride == 1;
  const bool interleaved = a.output->dim[2].stride == 1 && a.output->dim[0].stride == channels &&
                           a.images->dim[0].stride == 1 && a.images->dim[1].stride == channels;
  const int row = planar ? width : width * channels;
  bool in_runs = (planar || interleaved) && row % run == 0 && a.output->device % kRunBytes == 0;
  for (const int outer : {1, 2, 3}) {
    if (outer != 2 || planar) in_runs = in_runs && a.output->dim[outer].stride % run == 0;
  }
  Reshaped output(a.output);
  if (!in_runs) {
    if (bytes == 2) output.buffer.type = halide_type_of<uint16_t>();
    return Call(a.device, variants.any, a, &output.buffer);
  }
  output.buffer.type = halide_type_of<uint64_t>();
  output.dim[0] = {0, row / run, 1, 0};
  output.dim[1].stride /= run;
  output.dim[2] = planar ? halide_dimension_t{0, channels, output.dim[2].stride / run} : halide_dimension_t{0, 1, 0};
  output.dim[3].stride /= run;
  return Call(a.device, planar ? variants.planar : variants.interleaved, a, &output.buffer);
}

absl::Status Run(const Variants& variants, const Arguments& a) {
  if (a.images->dim[3].extent == 0 && a.index->dim[1].extent > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(a.op, ": images has none, but index asks for some; give N of 1 or more"));
  }
  if (a.device.kind == Device::Kind::kHost) {
    if (absl::Status status = CheckContents(a); !status.ok()) return status;
  }
  if (a.output->number_of_elements() == 0) return absl::OkStatus();
  return CallHalide(a.op, [&] {
    if (a.device.kind != Device::Kind::kHost) return CallOnDevice(variants, a);
    Reshaped output(a.output);
    if (output.buffer.type.bits == 16) output.buffer.type = halide_type_of<uint16_t>();
    return variants.host(a.images, a.index, a.params, a.lambda, a.mix_box, a.scale, a.offset,
                         a.border == Border::kReflect, &output.buffer);
  });
}

const Variants& VariantsFor(halide_type_t type, const Variants& float32, const Variants& float16,
                            const Variants& bfloat16) {
  return type == Float16() ? float16 : type == BFloat16() ? bfloat16 : float32;
}

void CheckNormalization(const halide_buffer_t* scale, const halide_buffer_t* offset, int channels,
                        CheckArguments* check) {
  check->Buffer("scale", scale, {halide_type_of<float>()}, 1);
  check->Buffer("offset", offset, {halide_type_of<float>()}, 1);
  if (!check->ok()) return;
  check->Shape("scale", *scale, "[C]", {channels});
  check->Shape("offset", *offset, "[C]", {channels});
}

}  // namespace

absl::Status BatchAssembly(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params,
                           halide_buffer_t* scale, halide_buffer_t* offset, Border border, halide_buffer_t* output,
                           const Device& device) {
  CheckArguments check("batch_assembly", device);
  check.Buffer("images", images, {halide_type_of<uint8_t>()}, 4);
  check.Buffer("index", index, {halide_type_of<int64_t>()}, 1);
  check.Buffer("params", params, {halide_type_of<int32_t>()}, 2);
  check.Output("output", output, {halide_type_of<float>(), Float16(), BFloat16()}, 4);
  if (!check.ok()) return check.status();
  const int height = images->dim[2].extent, width = images->dim[1].extent, channels = images->dim[0].extent;
  const int batch = index->dim[0].extent;
  CheckNormalization(scale, offset, channels, &check);
  check.Shape("params", *params, "[B,7]", {batch, 7});
  check.Shape("output", *output, "[B,C,H,W]", {batch, channels, height, width});
  check.Grid("images", batch);
  if (!check.ok()) return check.status();
  WithOneSource sources(index), records(params);
  Unused lambda(halide_type_of<float>(), 1), box(halide_type_of<int32_t>(), 2);
  return Run(VariantsFor(output->type, k_batch_assembly_float32, k_batch_assembly_float16, k_batch_assembly_bfloat16),
             {"batch_assembly", images, &sources.buffer, &records.buffer, &lambda.buffer, &box.buffer, scale, offset,
              border, output, device});
}

absl::Status MixedBatchAssembly(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params,
                                halide_buffer_t* lambda, halide_buffer_t* mix_box, halide_buffer_t* scale,
                                halide_buffer_t* offset, Border border, halide_buffer_t* output, const Device& device) {
  CheckArguments check("mixed_batch_assembly", device);
  check.Buffer("images", images, {halide_type_of<uint8_t>()}, 4);
  check.Buffer("index", index, {halide_type_of<int64_t>()}, 2);
  check.Buffer("params", params, {halide_type_of<int32_t>()}, 3);
  check.Buffer("lambda", lambda, {halide_type_of<float>()}, 1);
  check.Buffer("mix_box", mix_box, {halide_type_of<int32_t>()}, 2);
  check.Output("output", output, {halide_type_of<float>(), Float16(), BFloat16()}, 4);
  if (!check.ok()) return check.status();
  const int height = images->dim[2].extent, width = images->dim[1].extent, channels = images->dim[0].extent;
  const int batch = index->dim[1].extent;
  CheckNormalization(scale, offset, channels, &check);
  check.Shape("index", *index, "[B,2]", {batch, 2});
  check.Shape("params", *params, "[B,2,7]", {batch, 2, 7});
  check.Shape("lambda", *lambda, "[B]", {batch});
  check.Shape("mix_box", *mix_box, "[B,4]", {batch, 4});
  check.Shape("output", *output, "[B,C,H,W]", {batch, channels, height, width});
  check.Grid("images", batch);
  if (!check.ok()) return check.status();
  return Run(VariantsFor(output->type, k_batch_assembly_mixed_float32, k_batch_assembly_mixed_float16,
                         k_batch_assembly_mixed_bfloat16),
             {"mixed_batch_assembly", images, index, params, lambda, mix_box, scale, offset, border, output, device});
}

absl::Status CropBatch(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params, Border border,
                       halide_buffer_t* output, const Device& device) {
  CheckArguments check("crop_batch", device);
  check.Buffer("images", images, {halide_type_of<uint8_t>()}, 4);
  check.Buffer("index", index, {halide_type_of<int64_t>()}, 1);
  check.Buffer("params", params, {halide_type_of<int32_t>()}, 2);
  check.Output("output", output, {halide_type_of<uint8_t>()}, 4);
  if (!check.ok()) return check.status();
  const int height = images->dim[2].extent, width = images->dim[1].extent, channels = images->dim[0].extent;
  const int batch = index->dim[0].extent;
  check.Shape("params", *params, "[B,7]", {batch, 7});
  check.Shape("output", *output, "[B,H,W,C]", {batch, height, width, channels});
  check.Grid("images", batch);
  if (!check.ok()) return check.status();
  WithOneSource sources(index), records(params);
  // As [B,C,H,W].
  Reshaped planes(output);
  planes.dim = {output->dim[1], output->dim[2], output->dim[0], output->dim[3]};
  Unused numbers(halide_type_of<float>(), 1), box(halide_type_of<int32_t>(), 2);
  return Run(k_batch_assembly_uint8, {"crop_batch", images, &sources.buffer, &records.buffer, &numbers.buffer,
                                      &box.buffer, &numbers.buffer, &numbers.buffer, border, &planes.buffer, device});
}

}  // namespace retort::ops
