#include "retort/ops/augment/augment.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "retort/ops/augment/augment_op.h"
#include "retort/ops/augment/augment_op_cuda.h"
#include "retort/ops/augment/augment_op_opencl.h"
#include "retort/ops/augment/augment_record.h"
#include "retort/ops/augment/augment_tables_op.h"
#include "retort/ops/augment/augment_tables_op_cuda.h"
#include "retort/ops/augment/augment_tables_op_opencl.h"
#include "retort/ops/call_halide.h"
#include "retort/ops/check_arguments.h"

namespace retort::ops {
namespace {

constexpr int kGreatestSide = (1 << 15) - 1;
constexpr int64_t kGreatestSize = 1 << 24;
constexpr float kGreatestFactor = 1 << 20;
// Images of one parallel task.
constexpr int kTask = 8;
constexpr int kFixedOne = 1 << 16;

// One image in memory, pixels dense.
struct Image {
  uint8_t* data;
  int64_t pitch;  // Bytes from a row to the next.
};

struct Shape {
  int height, width, channels;

  int64_t row() const { return int64_t{width} * channels; }
};

// A generated function's view of memory.
template <int kDimensions>
class View {
 public:
  View(const void* host, halide_type_t type, const halide_dimension_t (&dimensions)[kDimensions]) {
    std::copy_n(dimensions, kDimensions, dimensions_);
    buffer_.host = static_cast<uint8_t*>(const_cast<void*>(host));
    buffer_.type = type;
    buffer_.dimensions = kDimensions;
    buffer_.dim = dimensions_;
  }
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  operator halide_buffer_t*() { return &buffer_; }

 private:
  halide_buffer_t buffer_ = {};
  halide_dimension_t dimensions_[kDimensions];
};

View<4> ViewOf(const Image& image, const Shape& shape) {
  return View<4>(image.data, halide_type_of<uint8_t>(),
                 {{0, shape.channels, 1},
                  {0, shape.width, shape.channels},
                  {0, shape.height, static_cast<int32_t>(image.pitch)},
                  {0, 1, 0}});
}

bool IsTable(AugmentKind kind) { return kind < AugmentKind::kAffine; }

// Steps that show the image itself.
bool IsIdentity(AugmentKind kind, const Shape& shape) {
  return kind == AugmentKind::kIdentity ||
         (shape.channels == 1 && (kind == AugmentKind::kColor || kind == AugmentKind::kHue));
}

void Copy(const Image& from, const Image& to, const Shape& shape) {
  for (int y = 0; y < shape.height; ++y) {
    std::memcpy(to.data + y * to.pitch, from.data + y * from.pitch, static_cast<size_t>(shape.row()));
  }
}

// Of a matrix that leaves x as it is but for an offset of each row: every row of the output is a part of one row.
void MoveRows(const std::array<int32_t, 6>& a, const Image& from, const Image& to, const Shape& shape) {
  for (int y = 0; y < shape.height; ++y) {
    uint8_t* const row = to.data + y * to.pitch;
    const int64_t from_x = (int64_t{a[1]} * y + a[2]) >> 16;
    const int64_t from_y = (int64_t{a[4]} * y + a[5]) >> 16;
    // The part of the output's row that shows something.
    const int64_t first = std::clamp<int64_t>(-from_x, 0, shape.width);
    const int64_t last = std::clamp<int64_t>(shape.width - from_x, 0, shape.width);
    if (from_y < 0 || from_y >= shape.height || first >= last) {
      std::memset(row, 0, static_cast<size_t>(shape.row()));
      continue;
    }
    const auto bytes = [&](int64_t pixels) { return static_cast<size_t>(pixels * shape.channels); };
    std::memset(row, 0, bytes(first));
    std::memcpy(row + bytes(first), from.data + from_y * from.pitch + (first + from_x) * shape.channels,
                bytes(last - first));
    std::memset(row + bytes(last), 0, bytes(shape.width - last));
  }
}

// One step of one image on the host. `table` holds 256 C bytes. Halide's code.
int Step(const AugmentRecord& record, const Image& from, const Image& to, const Shape& shape, uint8_t* table) {
  if (record.kind == AugmentKind::kAffine && record.values[0] == kFixedOne && record.values[3] == 0) {
    MoveRows(record.values, from, to, shape);
    return halide_error_code_success;
  }
  View<3> records(&record, halide_type_of<int32_t>(),
                  {{0, kAugmentRecordWords, 1}, {0, 1, kAugmentRecordWords}, {0, 1, 0}});
  // Pixels without neighbours are one long row; a row of pixels that are smoothed channel by channel is a row of bytes.
  Shape seen = shape;
  int columns = 1;
  if (record.kind == AugmentKind::kSharpness) {
    seen = {shape.height, static_cast<int>(shape.row()), 1};
    columns = shape.channels;
  } else if (record.kind != AugmentKind::kAffine && from.pitch == shape.row() && to.pitch == shape.row()) {
    seen = {1, shape.height * shape.width, shape.channels};
  }
  View<3> tables(table, halide_type_of<uint8_t>(), {{0, 256, 1}, {0, seen.channels, 256}, {0, 1, 0}});
  View<4> input = ViewOf(from, seen), output = ViewOf(to, seen);
  if (IsTable(record.kind)) {
    if (const int code = augment_tables_op(input, records, 0, tables); code != halide_error_code_success) return code;
  }
  return augment_op(input, records, 0, tables, columns, output);
}

struct Work {
  const halide_buffer_t* images;
  const halide_buffer_t* records;
  const halide_buffer_t* output;
  Shape shape;
};

AugmentRecord RecordOf(const halide_buffer_t& records, int s, int64_t b) {
  AugmentRecord record;
  std::memcpy(
      static_cast<void*>(&record),
      reinterpret_cast<const int32_t*>(records.host) + b * records.dim[2].stride + int64_t{s} * records.dim[1].stride,
      sizeof(record));
  return record;
}

Image ImageOf(const halide_buffer_t& images, int64_t b) {
  return {images.host + b * images.dim[3].stride, images.dim[2].stride};
}

// All steps of image b. `other` holds one image.
int Steps(const Work& work, int64_t b, uint8_t* other, uint8_t* table) {
  const Shape& shape = work.shape;
  Image now = ImageOf(*work.images, b);
  const Image output = ImageOf(*work.output, b), spare = {other, shape.row()};
  std::vector<AugmentRecord> todo;
  for (int s = 0; s < work.records->dim[1].extent; ++s) {
    const AugmentRecord record = RecordOf(*work.records, s, b);
    if (!IsIdentity(record.kind, shape)) todo.push_back(record);
  }
  // To and fro, so that the last step writes the output, unless that is the first one's input.
  bool to_output = todo.size() % 2 == 1 && now.data != output.data;
  for (const AugmentRecord& record : todo) {
    const Image to = to_output ? output : spare;
    if (const int code = Step(record, now, to, shape, table); code != halide_error_code_success) return code;
    now = to;
    to_output = !to_output;
  }
  if (now.data != output.data) Copy(now, output, shape);
  return halide_error_code_success;
}

int Task(void* /*user_context*/, int task, uint8_t* closure) {
  const Work& work = *reinterpret_cast<const Work*>(closure);
  const size_t image = static_cast<size_t>(work.shape.row() * work.shape.height);
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[image + static_cast<size_t>(256 * work.shape.channels)]);
  const int64_t last = std::min<int64_t>(int64_t{task + 1} * kTask, work.images->dim[3].extent);
  for (int64_t b = int64_t{task} * kTask; b < last; ++b) {
    if (const int code = Steps(work, b, memory.get(), memory.get() + image); code != halide_error_code_success) {
      return code;
    }
  }
  return halide_error_code_success;
}

// Of a valid kind, and within what the kernels' arithmetic holds.
bool IsValid(const AugmentRecord& record, const Shape& shape) {
  if (record.kind < AugmentKind::kIdentity || record.kind > AugmentKind::kHue) return false;
  if (!(std::fabs(record.factor) <= kGreatestFactor)) return false;
  if (record.kind != AugmentKind::kAffine) return true;
  for (const int row : {0, 3}) {
    const int32_t* a = &record.values[static_cast<size_t>(row)];
    if (std::abs(int64_t{a[0]}) * shape.width + std::abs(int64_t{a[1]}) * shape.height + std::abs(int64_t{a[2]}) >=
        int64_t{1} << 31) {
      return false;
    }
  }
  return true;
}

void CheckImages(CheckArguments& check, absl::string_view name, const halide_buffer_t& images) {
  const int channels = images.dim[0].extent;
  check.Condition(images.dim[0].stride == 1 && images.dim[1].stride == channels, [&] {
    return absl::StrFormat(
        "%s has strides %d of C and %d of W; pixels must be dense, strides 1 and %d, as CropBatch writes any images",
        name, images.dim[0].stride, images.dim[1].stride, channels);
  });
}

void CheckRecords(CheckArguments& check, const halide_buffer_t& records, const Shape& shape) {
  for (int b = 0; check.ok() && b < records.dim[2].extent; ++b) {
    for (int s = 0; s < records.dim[1].extent; ++s) {
      const AugmentRecord record = RecordOf(records, s, b);
      check.Condition(IsValid(record, shape), [&] {
        return absl::StrFormat(
            "records[%d,%d] of kind %d is not valid: it was made with a parameter out of range, or leads beyond 2^15 "
            "pixels of an image of %d x %d; see augment_record.h",
            b, s, static_cast<int>(record.kind), shape.height, shape.width);
      });
    }
  }
}

absl::Status OnHost(Work work) {
  return CallHalide("augment", [&] {
    return halide_do_par_for(nullptr, &Task, 0, (work.images->dim[3].extent + kTask - 1) / kTask,
                             reinterpret_cast<uint8_t*>(&work));
  });
}

absl::Status OnDevice(halide_buffer_t* images, halide_buffer_t* records, halide_buffer_t* output,
                      const AugmentScratch& scratch, const Device& device) {
  const int steps = records->dim[1].extent;
  halide_buffer_t* from = images;
  for (int s = 0; s < steps; ++s) {
    halide_buffer_t* const to = (steps - s) % 2 == 1 ? output : scratch.images;
    if (absl::Status status = CallHalide("augment", device, augment_tables_op, augment_tables_op_cuda,
                                         augment_tables_op_opencl, from, records, s, scratch.tables);
        !status.ok()) {
      return status;
    }
    if (absl::Status status = CallHalide("augment", device, augment_op, augment_op_cuda, augment_op_opencl, from,
                                         records, s, scratch.tables, 1, to);
        !status.ok()) {
      return status;
    }
    from = to;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Augment(halide_buffer_t* images, halide_buffer_t* records, halide_buffer_t* output,
                     const AugmentScratch& scratch, const Device& device) {
  constexpr halide_type_t kByte = halide_type_of<uint8_t>();
  const bool host = device.kind == Device::Kind::kHost;
  CheckArguments check("augment", device);
  check.Buffer("images", images, {kByte}, 4);
  check.Buffer("records", records, {halide_type_of<int32_t>()}, 3);
  check.Output("output", output, {kByte}, 4);
  if (!check.ok()) return check.status();
  const int batch = images->dim[3].extent, channels = images->dim[0].extent, steps = records->dim[1].extent;
  const Shape shape = {images->dim[2].extent, images->dim[1].extent, channels};
  check.Shape("records", *records, "[B,S,8]", {batch, steps, kAugmentRecordWords});
  check.Shape("output", *output, "[B,H,W,C]", {batch, shape.height, shape.width, channels});
  check.Condition(channels == 1 || channels == 3,
                  [&] { return absl::StrCat("images has ", channels, " channels; permitted are 1 and 3"); });
  check.Condition(shape.height <= kGreatestSide && shape.width <= kGreatestSide &&
                      int64_t{shape.height} * shape.width <= kGreatestSize,
                  [&] {
                    return absl::StrFormat("images are %d x %d; permitted are sides up to %d and %d pixels in all",
                                           shape.height, shape.width, kGreatestSide, kGreatestSize);
                  });
  if (!check.ok()) return check.status();
  CheckImages(check, "images", *images);
  CheckImages(check, "output", *output);
  check.Condition(records->dim[0].stride == 1, [&] {
    return absl::StrCat("records has stride ", records->dim[0].stride, " of words; they must be dense, stride 1");
  });
  if (host) {
    if (check.ok()) CheckRecords(check, *records, shape);
  } else {
    check.Condition(images->device != output->device,
                    [] { return "output is the memory of images, which is permitted on the host only"; });
    check.Grid("images", batch);
    check.Condition(steps > 0, [] { return "records has no step; on a device give at least one"; });
    check.Output("scratch.tables", scratch.tables, {kByte}, 3);
    if (check.ok()) check.Shape("scratch.tables", *scratch.tables, "[B,C,256]", {batch, channels, 256});
    if (steps > 1) {
      check.Output("scratch.images", scratch.images, {kByte}, 4);
      if (check.ok()) {
        check.Shape("scratch.images", *scratch.images, "[B,H,W,C]", {batch, shape.height, shape.width, channels});
        CheckImages(check, "scratch.images", *scratch.images);
      }
    }
  }
  if (!check.ok()) return check.status();
  if (output->number_of_elements() == 0) return absl::OkStatus();
  return host ? OnHost({images, records, output, shape}) : OnDevice(images, records, output, scratch, device);
}

}  // namespace retort::ops
