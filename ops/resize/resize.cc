#include "retort/ops/resize/resize.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

#include "retort/ops/call_halide.h"
#include "retort/ops/check_arguments.h"
#include "retort/ops/resize/resize_bfloat16.h"
#include "retort/ops/resize/resize_bfloat16_cuda.h"
#include "retort/ops/resize/resize_bfloat16_opencl.h"
#include "retort/ops/resize/resize_float16.h"
#include "retort/ops/resize/resize_float16_cuda.h"
#include "retort/ops/resize/resize_float16_opencl.h"
#include "retort/ops/resize/resize_float32.h"
#include "retort/ops/resize/resize_float32_cuda.h"
#include "retort/ops/resize/resize_float32_opencl.h"
#include "retort/ops/resize/resize_uint8.h"
#include "retort/ops/resize/resize_uint8_cuda.h"
#include "retort/ops/resize/resize_uint8_opencl.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;

constexpr int kMaxChannels = 4;
// Coordinates times channels stay far from 2^31.
constexpr int kMaxSide = 1 << 24;
// Those of a row of pixels are counted with 32 bits.
constexpr int kMaxRowBytes = 1 << 30;

// Arguments of a generated function. erase, scale, offset and erased are not there for pixels.
struct Arguments {
  halide_buffer_t* images;
  int pixel_stride;
  halide_buffer_t *index, *x_first, *x_weight, *y_first, *y_weight, *erase, *scale, *offset, *erased, *output;
};

// A buffer's description with other dimensions; the memory is the same.
struct View {
  View(const halide_buffer_t& of, std::initializer_list<halide_dimension_t> dimensions) : buffer(of) {
    std::copy(dimensions.begin(), dimensions.end(), dim);
    buffer.dim = dim;
    buffer.dimensions = static_cast<int32_t>(dimensions.size());
    // Generated functions know 16-bit floating point numbers as u16.
    if (buffer.type == Float16() || buffer.type == BFloat16()) buffer.type = halide_type_of<uint16_t>();
  }
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  halide_dimension_t dim[4];
  halide_buffer_t buffer;
};

// The generated function for an output of `type`, on `device`.
absl::Status Call(const Device& device, halide_type_t type, const Arguments& a) {
  if (type == halide_type_of<uint8_t>()) {
    return CallHalide("crop_resize", device, resize_uint8, resize_uint8_cuda, resize_uint8_opencl, a.images,
                      a.pixel_stride, a.index, a.x_first, a.x_weight, a.y_first, a.y_weight, a.output);
  }
  const auto call = [&](auto* host, auto* cuda, auto* opencl) {
    return CallHalide("crop_resize", device, host, cuda, opencl, a.images, a.pixel_stride, a.index, a.x_first,
                      a.x_weight, a.y_first, a.y_weight, a.erase, a.scale, a.offset, a.erased, a.output);
  };
  if (type == Float16()) return call(resize_float16, resize_float16_cuda, resize_float16_opencl);
  if (type == BFloat16()) return call(resize_bfloat16, resize_bfloat16_cuda, resize_bfloat16_opencl);
  return call(resize_float32, resize_float32_cuda, resize_float32_opencl);
}

// Runs work(0), ..., work(batch - 1) on Halide's threads; the first fault in that order.
absl::Status ForEach(int batch, absl::FunctionRef<absl::Status(int)> work) {
  struct Closure {
    absl::FunctionRef<absl::Status(int)> work;
    std::vector<absl::Status> statuses;
  } closure{work, std::vector<absl::Status>(static_cast<size_t>(batch))};
  const auto task = [](void* /*user_context*/, int b, uint8_t* argument) {
    Closure& to = *reinterpret_cast<Closure*>(argument);
    to.statuses[static_cast<size_t>(b)] = to.work(b);
    return 0;
  };
  halide_do_par_for(nullptr, task, 0, batch, reinterpret_cast<uint8_t*>(&closure));
  for (const absl::Status& status : closure.statuses) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Of one axis: what pixels are made of, and the first and the last but one of the source that they need.
struct Axis {
  int taps, weight_stride;  // each pixel's weights, and from one's first to the next one's
  const int32_t* weight;
  std::vector<int32_t> first;  // relative to begin
  int begin, end;

  Axis(const int32_t* absolute_first, const int32_t* weights, int size, int tap_count, int stride)
      : taps(tap_count), weight_stride(stride), weight(weights), first(absolute_first, absolute_first + size) {
    begin = *std::min_element(first.begin(), first.end());
    end = *std::max_element(first.begin(), first.end()) + taps;
    for (int32_t& at : first) at -= begin;
  }

  Buffer<int32_t, 3> weights() const {
    const int size = static_cast<int>(first.size());
    const halide_dimension_t dimensions[] = {{0, taps, 1}, {0, size, weight_stride}, {0, 1, 0}};
    return Buffer<int32_t, 3>(const_cast<int32_t*>(weight), 3, dimensions);
  }
};

// `count` of an axis' elements from `begin` on, as if there were no others.
void Crop(View& view, int axis, int begin, int count) {
  view.buffer.host += int64_t{begin} * view.dim[axis].stride * view.buffer.type.bytes();
  view.dim[axis].extent = count;
}

// One image u8 [H,W,C] to number b of the output. Only the rows and columns that are needed are looked at. Pixels whose
// channels lie side by side are resized together, others a channel at a time.
absl::Status ResizeOne(const uint8_t* image, const halide_dimension_t* dim, Axis x, Axis y, int32_t* erase,
                       halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* erased,
                       const halide_buffer_t& output, int b) {
  const int channels = output.dim[2].extent, together = dim[0].stride == 1 ? channels : 1;
  int64_t zero = 0;
  Buffer<int64_t, 1> index(&zero, 1);
  Buffer<int32_t, 2> x_first(x.first.data(), output.dim[0].extent, 1), y_first(y.first.data(), output.dim[1].extent, 1);
  Buffer<int32_t, 3> x_weight = x.weights(), y_weight = y.weights();
  Buffer<int32_t, 2> erase_buffer(erase, 4, 1);
  const uint8_t* box = image + int64_t{y.begin} * dim[2].stride + int64_t{x.begin} * dim[1].stride;
  const halide_dimension_t rows[] = {{0, (x.end - x.begin - 1) * dim[1].stride + together, 1},
                                     {0, 1, 0},
                                     {0, y.end - y.begin, dim[2].stride},
                                     {0, 1, 0}};
  for (int c = 0; c < channels; c += together) {
    Buffer<uint8_t, 4> source(const_cast<uint8_t*>(box) + int64_t{c} * dim[0].stride, 4, rows);
    View view(output, {output.dim[0], output.dim[1], output.dim[2], output.dim[3]});
    Crop(view, 3, b, 1);
    Crop(view, 2, c, together);
    halide_buffer_t* numbers[] = {scale, offset, erased};
    std::optional<View> of_channels[3];
    for (int i = 0; i < 3; ++i) {
      if (numbers[i] == nullptr) continue;
      of_channels[i].emplace(*numbers[i], std::initializer_list<halide_dimension_t>{numbers[i]->dim[0]});
      Crop(*of_channels[i], 0, c, together);
      numbers[i] = &of_channels[i]->buffer;
    }
    const absl::Status status = Call({}, output.type,
                                     {source, dim[1].stride, index, x_first, x_weight, y_first, y_weight, erase_buffer,
                                      numbers[0], numbers[1], numbers[2], &view.buffer});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void CheckSide(CheckArguments& check, absl::string_view what, int side) {
  check.Condition(side >= 1 && side <= kMaxSide,
                  [&] { return absl::StrFormat("%s %d; permitted are 1..%d", what, side, kMaxSide); });
}

void CheckOutput(CheckArguments& check, const halide_buffer_t* output) {
  check.Output("output", output, {halide_type_of<uint8_t>(), halide_type_of<float>(), Float16(), BFloat16()}, 4);
  if (!check.ok()) return;
  CheckSide(check, "output is of width", output->dim[0].extent);
  CheckSide(check, "output is of height", output->dim[1].extent);
  const int channels = output->dim[2].extent;
  check.Condition(channels >= 1 && channels <= kMaxChannels, [&] {
    return absl::StrFormat("output has %d channels; permitted are 1..%d", channels, kMaxChannels);
  });
}

// As MakeCropResizeTables makes it: without gaps, from 0 on.
void CheckTable(CheckArguments& check, absl::string_view name, const halide_buffer_t* table, absl::string_view letters,
                std::initializer_list<int> extents) {
  check.Buffer(name, table, {halide_type_of<int32_t>()}, static_cast<int>(extents.size()));
  if (!check.ok()) return;
  check.Shape(name, *table, letters, extents);
  int64_t stride = 1;
  for (int i = 0; i < table->dimensions; ++i) {
    const halide_dimension_t& dim = table->dim[i];
    check.Condition(dim.min == 0 && (dim.stride == stride || dim.extent <= 1), [&] {
      return absl::StrFormat(
          "%s is cropped or transposed (dim[%d] from %d on, stride %d); give it as "
          "MakeCropResizeTables makes it",
          name, i, dim.min, dim.stride);
    });
    stride *= dim.extent;
  }
}

// Pixels without a rectangle to erase.
void CheckNothingErased(CheckArguments& check, int b, int height, int width) {
  check.Condition(height == 0 || width == 0, [&] {
    return absl::StrFormat("params[%d] erases %dx%d, but erasing is for normalised outputs", b, height, width);
  });
}

// What turns pixels into numbers, one for each channel: there for numbers, absent for pixels.
void CheckPerChannel(CheckArguments& check, absl::string_view name, const halide_buffer_t* values,
                     const halide_buffer_t& output, const Device& device) {
  if (output.type == halide_type_of<uint8_t>()) {
    check.Condition(values == nullptr,
                    [&] { return absl::StrCat(name, " is there, but pixels (u8) are not normalised; give none"); });
    return;
  }
  check.Buffer(name, values, {halide_type_of<float>()}, 1);
  if (check.ok()) check.Shape(name, *values, "[C]", {output.dim[2].extent});
  if (!check.ok() || device.kind != Device::Kind::kHost) return;
  for (int c = 0; c < values->dim[0].extent; ++c) {
    const float value = reinterpret_cast<const float*>(values->host)[int64_t{c} * values->dim[0].stride];
    check.Condition(value - value == 0,
                    [&] { return absl::StrCat(name, "[", c, "] is ", value, "; give a finite one"); });
  }
}

// An image, or images: H, W and C are dimensions 2, 1 and 0.
void CheckPixels(CheckArguments& check, const std::string& name, const halide_buffer_t* image, int dimensions,
                 int channels) {
  check.Buffer(name, image, {halide_type_of<uint8_t>()}, dimensions);
  if (!check.ok()) return;
  const auto* dim = image->dim;
  CheckSide(check, absl::StrCat(name, " is of width"), dim[1].extent);
  CheckSide(check, absl::StrCat(name, " is of height"), dim[2].extent);
  check.Condition(dim[0].extent == channels, [&] {
    return absl::StrFormat("%s has %d channels; give %d, as the output has", name, dim[0].extent, channels);
  });
  check.Condition(dim[0].min == 0 && dim[1].min == 0 && dim[2].min == 0,
                  [&] { return absl::StrCat(name, " begins at coordinates other than 0; give it with minima of 0"); });
  check.Condition(dim[1].stride >= 1 && int64_t{dim[1].extent} * dim[1].stride <= kMaxRowBytes, [&] {
    return absl::StrFormat(
        "%s has %d pixels in a row with stride %d; give a stride of 1 or more and rows of up to %d bytes", name,
        dim[1].extent, dim[1].stride, kMaxRowBytes);
  });
}

// Of an image's params, given the sizes of image and view.
void CheckParams(CheckArguments& check, int b, const CropResizeParams& p, int image_height, int image_width, int height,
                 int width) {
  struct {
    const char* what;
    int begin, size, within;
  } const ranges[] = {
      {"the box's rows", p.top, p.height, image_height},
      {"the box's columns", p.left, p.width, image_width},
      {"the window's rows", p.window_top, height, p.resized_height},
      {"the window's columns", p.window_left, width, p.resized_width},
      {"the rows to erase", p.erase_top, p.erase_height, height},
      {"the columns to erase", p.erase_left, p.erase_width, width},
  };
  for (const auto& range : ranges) {
    const bool may_be_empty = &range >= &ranges[4];
    check.Condition(
        range.begin >= 0 && range.size >= (may_be_empty ? 0 : 1) && range.size <= int64_t{range.within} - range.begin,
        [&] {
          return absl::StrFormat("params[%d]: %s are %d from %d on; there are %d", b, range.what, range.size,
                                 range.begin, range.within);
        });
  }
  check.Condition(p.resized_height <= kMaxSide && p.resized_width <= kMaxSide, [&] {
    return absl::StrFormat("params[%d]: the box is resized to %dx%d; permitted are sides up to %d", b, p.resized_height,
                           p.resized_width, kMaxSide);
  });
  check.Condition(p.flip == 0 || p.flip == 1,
                  [&] { return absl::StrFormat("params[%d]: flip is %d; permitted are 0 and 1", b, p.flip); });
}

ResampleWeights RowWeights(const CropResizeParams& p, Filter filter, int width) {
  ResampleWeights weights = MakeResampleWeights(filter, p.width, p.resized_width, {p.window_left, width, p.flip == 1});
  for (int32_t& first : weights.first) first += p.left;
  return weights;
}

ResampleWeights ColumnWeights(const CropResizeParams& p, Filter filter, int height) {
  ResampleWeights weights = MakeResampleWeights(filter, p.height, p.resized_height, {p.window_top, height, false});
  for (int32_t& first : weights.first) first += p.top;
  return weights;
}

// Copies views' weights along one axis, weights_of(b) with its own number of taps, into one table with room for as many
// as any has.
template <typename WeightsOf>
void Tabulate(int batch, int size, WeightsOf weights_of, Buffer<int32_t, 2>& first, Buffer<int32_t, 3>& weight,
              std::vector<int>& taps) {
  std::vector<ResampleWeights> views;
  int most = 1;
  for (int b = 0; b < batch; ++b) {
    views.push_back(weights_of(static_cast<size_t>(b)));
    taps.push_back(views.back().taps);
    most = std::max(most, taps.back());
  }
  first = Buffer<int32_t, 2>(size, batch);
  weight = Buffer<int32_t, 3>(most, size, batch);
  std::fill_n(weight.data(), weight.number_of_elements(), 0);  // fill() wants one element at least.
  for (int b = 0; b < batch; ++b) {
    const ResampleWeights& view = views[static_cast<size_t>(b)];
    std::copy(view.first.begin(), view.first.end(), &first(0, b));
    for (int o = 0; o < size; ++o) {
      std::copy_n(&view.weight[static_cast<size_t>(o) * static_cast<size_t>(view.taps)], view.taps, &weight(0, o, b));
    }
  }
}

void CheckTaps(CheckArguments& check, absl::string_view name, const std::vector<int>& taps, int batch, int most) {
  check.Condition(taps.size() == static_cast<size_t>(batch), [&] {
    return absl::StrFormat("%s has %d numbers; give B = %d, as MakeCropResizeTables does", name, taps.size(), batch);
  });
  for (size_t b = 0; check.ok() && b < taps.size(); ++b) {
    check.Condition(taps[b] >= 1 && taps[b] <= most, [&] {
      return absl::StrFormat("%s[%d] is %d; the table has room for 1..%d", name, b, taps[b], most);
    });
  }
}

// What both ops with tables demand of all but images and output, which is known to be right.
void CheckTables(CheckArguments& check, CropResizeTables& tables, const halide_buffer_t* scale,
                 const halide_buffer_t* offset, const halide_buffer_t* erased, const halide_buffer_t& output,
                 const Device& device) {
  const int batch = output.dim[3].extent, height = output.dim[1].extent, width = output.dim[0].extent;
  const int x_most = tables.x_weight.dim(0).extent(), y_most = tables.y_weight.dim(0).extent();
  CheckTable(check, "x_first", tables.x_first, "[B,W']", {batch, width});
  CheckTable(check, "x_weight", tables.x_weight, "[B,W',T]", {batch, width, x_most});
  CheckTable(check, "y_first", tables.y_first, "[B,H']", {batch, height});
  CheckTable(check, "y_weight", tables.y_weight, "[B,H',U]", {batch, height, y_most});
  CheckTable(check, "erase", tables.erase, "[B,4]", {batch, 4});
  CheckTaps(check, "x_taps", tables.x_taps, batch, x_most);
  CheckTaps(check, "y_taps", tables.y_taps, batch, y_most);
  check.Grid("rows of blocks of 8 rows", (height + 7) / 8);
  CheckPerChannel(check, "scale", scale, output, device);
  CheckPerChannel(check, "offset", offset, output, device);
  CheckPerChannel(check, "erased", erased, output, device);
}

// On the host, what view b's tables say of an image with these sides.
void CheckView(CheckArguments& check, CropResizeTables& tables, int b, int image_height, int image_width,
               halide_type_t type) {
  if (!check.ok()) return;
  if (type == halide_type_of<uint8_t>()) CheckNothingErased(check, b, tables.erase(2, b), tables.erase(3, b));
  const auto inside = [b](const Buffer<int32_t, 2>& first, int taps, int size) {
    const int32_t* begin = &first(0, b);
    return std::all_of(begin, begin + first.dim(0).extent(), [&](int32_t at) { return at >= 0 && at <= size - taps; });
  };
  const auto at = static_cast<size_t>(b);
  check.Condition(
      inside(tables.x_first, tables.x_taps[at], image_width) && inside(tables.y_first, tables.y_taps[at], image_height),
      [&] { return absl::StrFormat("tables of view %d lead out of the image", b); });
}

// View b on the host, of tables that CheckView has seen.
absl::Status ResizeByTables(const uint8_t* image, const halide_dimension_t* dim, CropResizeTables& tables,
                            halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* erased,
                            const halide_buffer_t& output, int b) {
  const auto at = static_cast<size_t>(b);
  const Axis x(&tables.x_first(0, b), &tables.x_weight(0, 0, b), output.dim[0].extent, tables.x_taps[at],
               tables.x_weight.dim(1).stride());
  const Axis y(&tables.y_first(0, b), &tables.y_weight(0, 0, b), output.dim[1].extent, tables.y_taps[at],
               tables.y_weight.dim(1).stride());
  return ResizeOne(image, dim, x, y, &tables.erase(0, b), scale, offset, erased, output, b);
}

// A table of weights of which each pixel's first `taps` are looked at.
View FirstTaps(const halide_buffer_t& weight, int taps) {
  return View(weight, {{0, taps, 1}, weight.dim[1], weight.dim[2]});
}

// A view of all of an image, or what is left of one.
CropResizeParams Whole(int image_height, int image_width, int height, int width) {
  CropResizeParams params;
  params.height = image_height;
  params.width = image_width;
  params.resized_height = height;
  params.resized_width = width;
  return params;
}

// Of Resize, an output u8 [H',W',C], as one of [1,C,H',W'].
View OneView(const halide_buffer_t& output) {
  return View(output, {output.dim[1], output.dim[2], output.dim[0], {0, 1, 0}});
}

void CheckResize(CheckArguments& check, const halide_buffer_t* image, const halide_buffer_t* output) {
  check.Buffer("image", image, {halide_type_of<uint8_t>()}, 3);
  check.Output("output", output, {halide_type_of<uint8_t>()}, 3);
}

}  // namespace

absl::Status CropResize(absl::Span<halide_buffer_t* const> images, absl::Span<const CropResizeParams> params,
                        Filter filter, halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* erased,
                        halide_buffer_t* output) {
  CheckArguments check("crop_resize", {});
  CheckOutput(check, output);
  if (!check.ok()) return check.status();
  const int batch = output->dim[3].extent, channels = output->dim[2].extent, height = output->dim[1].extent,
            width = output->dim[0].extent;
  check.Condition(images.size() == static_cast<size_t>(batch) && params.size() == images.size(), [&] {
    return absl::StrFormat("there are %d images and %d params; give %d of each, as many as the output holds",
                           images.size(), params.size(), batch);
  });
  CheckPerChannel(check, "scale", scale, *output, {});
  CheckPerChannel(check, "offset", offset, *output, {});
  CheckPerChannel(check, "erased", erased, *output, {});
  const bool pixels = output->type == halide_type_of<uint8_t>();
  for (int b = 0; b < batch && check.ok(); ++b) {
    const halide_buffer_t* image = images[static_cast<size_t>(b)];
    const CropResizeParams& p = params[static_cast<size_t>(b)];
    CheckPixels(check, absl::StrCat("images[", b, "]"), image, 3, channels);
    if (!check.ok()) break;
    CheckParams(check, b, p, image->dim[2].extent, image->dim[1].extent, height, width);
    if (pixels) CheckNothingErased(check, b, p.erase_height, p.erase_width);
  }
  if (!check.ok()) return check.status();

  return ForEach(batch, [&](int b) {
    const halide_buffer_t& image = *images[static_cast<size_t>(b)];
    const CropResizeParams& p = params[static_cast<size_t>(b)];
    const ResampleWeights x = RowWeights(p, filter, width), y = ColumnWeights(p, filter, height);
    int32_t erase[] = {p.erase_top, p.erase_left, p.erase_height, p.erase_width};
    return ResizeOne(image.host, image.dim, Axis(x.first.data(), x.weight.data(), width, x.taps, x.taps),
                     Axis(y.first.data(), y.weight.data(), height, y.taps, y.taps), erase, scale, offset, erased,
                     *output, b);
  });
}

absl::Status CropResize(absl::Span<halide_buffer_t* const> images, CropResizeTables& tables, halide_buffer_t* scale,
                        halide_buffer_t* offset, halide_buffer_t* erased, halide_buffer_t* output,
                        const Device& device) {
  CheckArguments check("crop_resize", device);
  CheckOutput(check, output);
  if (!check.ok()) return check.status();
  const int batch = output->dim[3].extent, channels = output->dim[2].extent;
  check.Condition(images.size() == static_cast<size_t>(batch), [&] {
    return absl::StrFormat("there are %d images; give %d, as many as the output holds", images.size(), batch);
  });
  for (size_t b = 0; check.ok() && b < images.size(); ++b) {
    CheckPixels(check, absl::StrCat("images[", b, "]"), images[b], 3, channels);
  }
  CheckTables(check, tables, scale, offset, erased, *output, device);
  if (!check.ok() || batch == 0) return check.status();

  if (device.kind == Device::Kind::kHost) {
    for (int b = 0; b < batch; ++b) {
      const auto* dim = images[static_cast<size_t>(b)]->dim;
      CheckView(check, tables, b, dim[2].extent, dim[1].extent, output->type);
    }
    if (!check.ok()) return check.status();
    return ForEach(batch, [&](int b) {
      const halide_buffer_t& image = *images[static_cast<size_t>(b)];
      return ResizeByTables(image.host, image.dim, tables, scale, offset, erased, *output, b);
    });
  }

  View view(*output, {output->dim[0], output->dim[1], output->dim[2], output->dim[3]});
  absl::Status status;
  for (int b = 0; b < batch && status.ok(); ++b) {
    const auto at = static_cast<size_t>(b);
    const auto* dim = images[at]->dim;
    View image(*images[at], {dim[0], dim[1], dim[2], {0, 1, 0}});
    View x_weight = FirstTaps(*tables.x_weight.raw_buffer(), tables.x_taps[at]),
         y_weight = FirstTaps(*tables.y_weight.raw_buffer(), tables.y_taps[at]);
    // Says which view to make. Whatever number is there, there is one image to show: the kernel clamps it.
    View index(*tables.erase.raw_buffer(), {{b, 1, 1}});
    index.buffer.type = halide_type_of<int64_t>();
    status = Call(device, output->type,
                  {&image.buffer, 0, &index.buffer, tables.x_first, &x_weight.buffer, tables.y_first, &y_weight.buffer,
                   tables.erase, scale, offset, erased, &view.buffer});
  }
  output->flags = view.buffer.flags;
  return status;
}

absl::Status Resize(halide_buffer_t* image, Filter filter, halide_buffer_t* output) {
  CheckArguments check("resize", {});
  CheckResize(check, image, output);
  if (!check.ok()) return check.status();
  View batch = OneView(*output);
  const CropResizeParams params =
      Whole(image->dim[2].extent, image->dim[1].extent, output->dim[2].extent, output->dim[1].extent);
  return CropResize({image}, {params}, filter, nullptr, nullptr, nullptr, &batch.buffer);
}

absl::Status Resize(halide_buffer_t* image, CropResizeTables& tables, halide_buffer_t* output, const Device& device) {
  CheckArguments check("resize", device);
  CheckResize(check, image, output);
  if (!check.ok()) return check.status();
  View batch = OneView(*output);
  const absl::Status status = CropResize({image}, tables, nullptr, nullptr, nullptr, &batch.buffer, device);
  output->flags = batch.buffer.flags;
  return status;
}

absl::StatusOr<CropResizeTables> MakeResizeTables(Filter filter, ImageSize image, int height, int width) {
  return MakeCropResizeTables({Whole(image.height, image.width, height, width)}, filter, {image}, height, width);
}

absl::StatusOr<CropResizeTables> MakeCropResizeTables(absl::Span<const CropResizeParams> params, Filter filter,
                                                      absl::Span<const ImageSize> images, int height, int width) {
  CheckArguments check("crop_resize", {});
  check.Condition(images.size() == 1 || images.size() == params.size(), [&] {
    return absl::StrFormat("there are %d sizes of images and %d params; give one size for all, or one for each",
                           images.size(), params.size());
  });
  for (const ImageSize& image : images) {
    CheckSide(check, "images are of height", image.height);
    CheckSide(check, "images are of width", image.width);
  }
  CheckSide(check, "views are of height", height);
  CheckSide(check, "views are of width", width);
  if (!check.ok()) return check.status();
  const int batch = static_cast<int>(params.size());
  CropResizeTables tables;
  tables.erase = Buffer<int32_t, 2>(4, batch);
  for (int b = 0; b < batch; ++b) {
    const CropResizeParams& p = params[static_cast<size_t>(b)];
    const ImageSize& image = images[images.size() == 1 ? 0 : static_cast<size_t>(b)];
    CheckParams(check, b, p, image.height, image.width, height, width);
    if (!check.ok()) return check.status();
    const int32_t erase[] = {p.erase_top, p.erase_left, p.erase_height, p.erase_width};
    for (int i = 0; i < 4; ++i) tables.erase(i, b) = erase[i];
  }
  Tabulate(
      batch, width, [&](size_t b) { return RowWeights(params[b], filter, width); }, tables.x_first, tables.x_weight,
      tables.x_taps);
  Tabulate(
      batch, height, [&](size_t b) { return ColumnWeights(params[b], filter, height); }, tables.y_first,
      tables.y_weight, tables.y_taps);
  return tables;
}

absl::Status CropResizeResident(halide_buffer_t* images, halide_buffer_t* index, CropResizeTables& tables,
                                halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* erased,
                                halide_buffer_t* output, const Device& device) {
  CheckArguments check("crop_resize", device);
  CheckOutput(check, output);
  if (!check.ok()) return check.status();
  const int batch = output->dim[3].extent, channels = output->dim[2].extent;
  CheckPixels(check, "images", images, 4, channels);
  check.Buffer("index", index, {halide_type_of<int64_t>()}, 1);
  if (check.ok()) check.Shape("index", *index, "[B]", {batch});
  CheckTables(check, tables, scale, offset, erased, *output, device);
  check.Grid("images times channels", int64_t{batch} * channels);
  if (!check.ok() || batch == 0) return check.status();

  const auto* dim = images->dim;
  if (device.kind != Device::Kind::kHost) {
    View view(*output, {output->dim[0], output->dim[1], output->dim[2], output->dim[3]});
    const absl::Status status = Call(device, output->type,
                                     {images, 0, index, tables.x_first, tables.x_weight, tables.y_first,
                                      tables.y_weight, tables.erase, scale, offset, erased, &view.buffer});
    output->flags = view.buffer.flags;
    return status;
  }

  const auto image_of = [&](int b) {
    return reinterpret_cast<const int64_t*>(index->host)[int64_t{b} * index->dim[0].stride];
  };
  for (int b = 0; b < batch; ++b) {
    const int64_t image = image_of(b);
    if (image < 0 || image >= dim[3].extent) {
      return absl::OutOfRangeError(
          absl::StrFormat("crop_resize: index[%d] = %d, but images has %d; permitted are 0..%d", b, image,
                          dim[3].extent, dim[3].extent - 1));
    }
    CheckView(check, tables, b, dim[2].extent, dim[1].extent, output->type);
  }
  if (!check.ok()) return check.status();
  return ForEach(batch, [&](int b) {
    return ResizeByTables(images->host + image_of(b) * dim[3].stride, dim, tables, scale, offset, erased, *output, b);
  });
}

}  // namespace retort::ops
