// Reads cases from standard input and writes what the batch assembly ops make of them, for oracles in other languages.
//
// A case is a Record, then u8 [2,H,W,C], images of which the first is that of the view and the second that of the
// mixture. What comes back is u8 [H,W,C] of CropBatch, or f32 of the others, [C,H,W] or with channels last.
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <vector>

#include "HalideBuffer.h"
#include "absl/status/status.h"

#include "retort/ops/batch_assembly/batch_assembly.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;

enum class Op : int32_t { kCropBatch, kBatchAssembly, kMixedBatchAssembly };

struct Record {
  Op op;
  int32_t height, width, channels;
  int32_t reflect, channels_last;
  BatchAssemblyParams params[2];
  Box mix_box;
  float lambda, scale[4], offset[4];
};
static_assert(sizeof(Record) == 33 * 4);

template <typename T>
absl::Status Write(const absl::Status& status, const Buffer<T, 4>& output) {
  if (status.ok()) std::fwrite(output.data(), sizeof(T), output.number_of_elements(), stdout);
  std::fflush(stdout);
  return status;
}

absl::Status Answer(Record& r, std::vector<uint8_t>& pixels) {
  int64_t numbers[] = {0, 1};
  auto* const words = reinterpret_cast<int32_t*>(r.params);
  const int record = sizeof(BatchAssemblyParams) / sizeof(int32_t);
  const Border border = r.reflect != 0 ? Border::kReflect : Border::kZero;
  Buffer<uint8_t, 4> images(pixels.data(), r.channels, r.width, r.height, 2);
  Buffer<int64_t, 1> index(numbers, 1);
  Buffer<int32_t, 2> params(words, record, 1);
  if (r.op == Op::kCropBatch) {
    Buffer<uint8_t, 4> output(r.channels, r.width, r.height, 1);
    return Write(CropBatch(images, index, params, border, output), output);
  }
  Buffer<float, 1> scale(r.scale, r.channels), offset(r.offset, r.channels);
  Buffer<float, 4> output(r.width, r.height, r.channels, 1);
  if (r.channels_last != 0) {
    output = Buffer<float, 4>(r.channels, r.width, r.height, 1);
    output.transpose({2, 0, 1, 3});
  }
  if (r.op == Op::kBatchAssembly) {
    return Write(BatchAssembly(images, index, params, scale, offset, border, output), output);
  }
  return Write(MixedBatchAssembly(images, Buffer<int64_t, 2>(numbers, 2, 1), Buffer<int32_t, 3>(words, record, 2, 1),
                                  Buffer<float, 1>(&r.lambda, 1),
                                  Buffer<int32_t, 2>(reinterpret_cast<int32_t*>(&r.mix_box), 4, 1), scale, offset,
                                  border, output),
               output);
}

int Main() {
  Record record;
  while (std::fread(&record, sizeof(record), 1, stdin) == 1) {
    std::vector<uint8_t> pixels(static_cast<size_t>(int64_t{2} * record.height * record.width * record.channels));
    if (std::fread(pixels.data(), 1, pixels.size(), stdin) != pixels.size()) return 1;
    if (const absl::Status status = Answer(record, pixels); !status.ok()) {
      std::cerr << status << std::endl;
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace retort::ops

int main() { return retort::ops::Main(); }
