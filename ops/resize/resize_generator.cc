// The resize op; what it computes is said in resize.h, and what the tables hold in resample_weights.h.
#include <vector>

#include "Halide.h"

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

// As in resample_weights.h.
constexpr int kResampleBits = 22;
// Rows and columns of a tile that is transposed.
constexpr int kTile = 16;
// Pixels of one vector step of the second pass.
constexpr int kStep = 32;
// Tiles between the one in work and the one that is fetched from memory.
constexpr int kAhead = 16;
// Numbers of taps that have unrolled loops; any other works too.
constexpr int kCommonTaps[] = {2, 3, 4};

enum class Element { kUInt8, kFloat32, kFloat16, kBFloat16 };

class Resize : public Halide::Generator<Resize> {
 public:
  // What the output holds: pixels, or normalised numbers. 16-bit numbers are u16 here: not every GPU language knows
  // them.
  GeneratorParam<Element> element{"element",
                                  Element::kFloat32,
                                  {{"uint8", Element::kUInt8},
                                   {"float32", Element::kFloat32},
                                   {"float16", Element::kFloat16},
                                   {"bfloat16", Element::kBFloat16}}};

  // Halide counts dimensions from the innermost: the reverse of how shapes are written.
  Input<Buffer<uint8_t, 4>> images{"images"};      // [N,H,W,C]; on a processor, [N,H,1,bytes of a row]
  Input<int32_t> pixel_stride{"pixel_stride"};     // bytes from one pixel of such a row to the next; a GPU has W
  Input<Buffer<int64_t, 1>> index{"index"};        // [B]; on a GPU, the views that it has are those that are made
  Input<Buffer<int32_t, 2>> x_first{"x_first"};    // [B,W']
  Input<Buffer<int32_t, 3>> x_weight{"x_weight"};  // [B,W',T]
  Input<Buffer<int32_t, 2>> y_first{"y_first"};    // [B,H']
  Input<Buffer<int32_t, 3>> y_weight{"y_weight"};  // [B,H',U]

  void configure() {
    if (normalizes()) {
      erase = add_input<Buffer<int32_t>>("erase", 2);  // [B,4]: top, left, height, width
      scale = add_input<Buffer<float>>("scale", 1);    // [C]
      offset = add_input<Buffer<float>>("offset", 1);  // [C]
      erased = add_input<Buffer<float>>("erased", 1);  // [C]
    }
    output = add_output<Buffer<>>("output", storage_type(), 4);  // [B,C,H',W']
  }

  void generate() {
    const Expr image = clamp(cast<int32_t>(index(b)), 0, images.dim(3).extent() - 1);
    // Sums along rows are vectors of pixels that lie below each other, which all have the same weights: on a processor,
    // bytes are transposed tile by tile before, and pixels back again after.
    if (on_gpu()) {
      source(y, x, c, b) = images(c, x, y, image);
    } else {
      Func bytes{"bytes"};
      bytes(f, tx, ty, b) = images(clamp(likely(tx * kTile + f % kTile), 0, images.dim(0).extent() - 1), 0,
                                   min(ty * kTile + f / kTile, height() - 1), image);
      byte_tiles = transposed(bytes);
      column_of_bytes(y, j, b) = byte_tiles.back()(j % kTile * kTile + y % kTile, j / kTile, y / kTile, b);
      source(y, x, c, b) = column_of_bytes(y, x * pixel_stride + c, b);
    }

    // The first pass makes rows as wide as the result: on a processor all that are needed, on a GPU, for each number of
    // the result, those that it is made of. There a row is named by the tap that weighs it, not by its place in the
    // image, which would come from memory and so might be any: room for all of them would have to be taken.
    const Expr column = min(x, x_first.dim(0).extent() - 1);
    std::vector<Var> place = {y, c, x, b};
    Expr line = y;
    if (on_gpu()) {
      place.push_back(tap);
      line = within(y_first(y, b) + tap, height());
    }
    rx = RDom(0, x_weight.dim(0).extent(), "rx");
    x_sum(place) = 1 << (kResampleBits - 1);
    x_sum(place) +=
        x_weight(rx, column, b) * cast<int32_t>(source(line, within(x_first(column, b) + rx, width()), c, b));
    x_pixel(place) = cast<uint8_t>(pixel(x_sum(place)));

    // The second pass weighs those rows.
    ry = RDom(0, y_weight.dim(0).extent(), "ry");
    y_sum(x, y, c, b) = 1 << (kResampleBits - 1);
    if (on_gpu()) {
      y_sum(x, y, c, b) += y_weight(ry, y, b) * cast<int32_t>(x_pixel(y, c, x, b, ry));
    } else {
      Func pixels{"pixels"};
      pixels(f, tx, ty, c, b) = x_pixel(ty * kTile + f % kTile, c, tx * kTile + f / kTile, b);
      pixel_tiles = transposed(pixels);
      row(x, y, c, b) = pixel_tiles.back()(y % kTile * kTile + x % kTile, x / kTile, y / kTile, c, b);
      y_sum(x, y, c, b) += y_weight(ry, y, b) * cast<int32_t>(row(x, within(y_first(y, b) + ry, height()), c, b));
    }

    if (!on_gpu()) {
      (*output)(x, y, c, b) = number(b);
      return;
    }
    // Images of different sizes are a call each, all with the same tables and the same output.
    views = RDom(index.dim(0).min(), index.dim(0).extent(), "views");
    (*output)(x, y, c, b) = Halide::undef(storage_type());
    (*output)(x, y, c, views) = number(views);
  }

  void schedule() {
    images.dim(0).set_min(0).set_stride(on_gpu() ? Expr() : Expr(1));
    images.dim(1).set_min(0);
    if (!on_gpu()) images.dim(1).set_extent(1);
    images.dim(2).set_min(0);
    images.dim(3).set_min(0);
    const auto table = [](auto& first, auto& weight, const Expr& size) {
      first.dim(0).set_bounds(0, size);
      weight.dim(0).set_min(0);
      weight.dim(1).set_bounds(0, size);
    };
    table(x_first, x_weight, output->dim(0).extent());
    table(y_first, y_weight, output->dim(1).extent());
    if (normalizes()) {
      erase->dim(0).set_bounds(0, 4);
      for (auto* values : {scale, offset, erased}) values->dim(0).set_bounds(0, channels());
    }
    output->dim(0).set_min(0).set_stride(Expr());
    for (int i = 1; i < 4; ++i) output->dim(i).set_min(0);
    if (on_gpu()) {
      schedule_gpu();
    } else {
      schedule_cpu();
    }
  }

 private:
  void schedule_cpu() {
    Func out = *output;
    const Expr is_rgb = channels() == 3 && pixel_stride == 3;
    Var xo{"xo"}, xi{"xi"}, yo{"yo"}, yi{"yi"}, jo{"jo"}, ji{"ji"};
    out.split(x, xo, xi, kStep, TailStrategy::GuardWithIf).reorder(xi, xo, c, y, b);
    out.specialize(output->dim(0).stride() == 1).vectorize(xi);
    out.specialize(is_rgb && output->dim(0).stride() == 3 && output->dim(2).stride() == 1)
        .reorder(c, xi, xo, y, b)
        .unroll(c)
        .vectorize(xi);
    y_sum.compute_at(out, xo).bound_extent(x, kStep).vectorize(x);
    y_sum.update().reorder(x, ry, y, c, b).vectorize(x);
    for (const int taps : kCommonTaps) y_sum.update().specialize(y_weight.dim(0).extent() == taps).unroll(ry);

    row.compute_at(out, b)
        .align_bounds(x, kStep)
        .align_bounds(y, kTile)
        .tile(x, y, xo, yo, xi, yi, kTile, kTile)
        .reorder(xi, yi, c, xo, yo)
        .vectorize(xi)
        .unroll(yi)
        .specialize(is_rgb);
    schedule_transposition(pixel_tiles, row, c);
    x_pixel.compute_at(row, xo).reorder(y, c, x).vectorize(y, kTile).specialize(is_rgb).unroll(c);
    x_sum.compute_at(x_pixel, x).reorder(y, c, x).vectorize(y, kTile).specialize(is_rgb).unroll(c);
    x_sum.update().reorder(y, c, rx, x).vectorize(y, kTile);
    for (const int taps : kCommonTaps) {
      x_sum.update().specialize(is_rgb && x_weight.dim(0).extent() == taps).unroll(rx).unroll(c);
    }
    x_sum.update().specialize(is_rgb).unroll(c);
    column_of_bytes.compute_at(row, yo)
        .align_bounds(y, kTile)
        .align_bounds(j, kTile)
        .tile(y, j, yo, jo, yi, ji, kTile, kTile)
        .vectorize(yi)
        .unroll(ji)
        .prefetch(images, jo, jo, kAhead);
    schedule_transposition(byte_tiles, column_of_bytes, jo);
  }

  // A thread makes one number, and all between it and the source is in registers.
  void schedule_gpu() {
    Func out = *output;
    Var xo{"xo"}, xi{"xi"}, yo{"yo"}, yi{"yi"};
    Halide::RVar plane{"plane"};
    out.update()
        .fuse(c, views, plane)
        .reorder(x, y, plane)
        .gpu_tile(x, y, xo, yo, xi, yi, 32, 8, TailStrategy::GuardWithIf)
        .gpu_blocks(plane);
    y_sum.compute_at(out, xi).update().reorder(x, y, c, b, ry);
    x_sum.compute_at(y_sum, ry);
  }

  // tile(f, ...) with f = 16 i + j, then each step of the way to f = 16 j + i: four times the tile's halves are
  // interleaved.
  static std::vector<Func> transposed(const Func& tile) {
    std::vector<Func> steps = {tile};
    const std::vector<Var> arguments = tile.args();
    const Var& position = arguments[0];
    std::vector<Expr> first(arguments.begin(), arguments.end()), second = first;
    first[0] = position / 2;
    second[0] = position / 2 + kTile * kTile / 2;
    for (int size = 1; size < kTile; size *= 2) {
      Func step(tile.name() + "_interleaved");
      step(arguments) = select(position % 2 == 0, steps.back()(first), steps.back()(second));
      steps.push_back(step);
    }
    return steps;
  }

  static void schedule_transposition(std::vector<Func>& steps, const Func& user, const Var& at) {
    const Var position = steps[0].args()[0];
    Var pair{"pair"}, member{"member"};
    for (Func& step : steps) step.compute_at(user, at).bound_extent(position, kTile * kTile);
    steps[0].vectorize(position, kTile).unroll(position);
    for (size_t i = 1; i < steps.size(); ++i) {
      steps[i].split(position, pair, member, 2).unroll(member).vectorize(pair, kTile).unroll(pair);
    }
  }

  // The output at (x, y, c) of a view.
  Expr number(const Expr& view) {
    const Expr value = pixel(y_sum(x, y, c, view));
    if (!normalizes()) return cast<uint8_t>(value);
    // In rows above and below the rectangle it is 0 wide.
    const Expr from_top = y - (*erase)(0, view), left = (*erase)(1, view);
    const Expr right = left + select(from_top >= 0 && from_top < (*erase)(2, view), (*erase)(3, view), 0);
    const Expr is_erased = x >= left && x < right;
    // Strict, so that no instruction set fuses product and sum: all give the same bits.
    Expr product = Halide::strict_float(cast<float>(value) * (*scale)(c));
    // Changes nothing, but CUDA's code generation fuses product and sum that stand side by side.
    if (get_target().has_feature(Target::CUDA)) product = max(product, Halide::Float(32).min());
    return stored(select(is_erased, (*erased)(c), Halide::strict_float(product + (*offset)(c))));
  }

  bool on_gpu() { return get_target().has_gpu_feature(); }
  bool normalizes() { return element != Element::kUInt8; }
  Expr channels() { return output->dim(2).extent(); }
  Expr width() {
    if (on_gpu()) return images.dim(1).extent();
    return (images.dim(0).extent() - channels()) / pixel_stride + 1;  // A row ends with its last pixel.
  }
  Expr height() { return images.dim(2).extent(); }

  // A coordinate of the source. The host has checked it; a device has not.
  Expr within(const Expr& coordinate, const Expr& size) {
    return on_gpu() ? clamp(coordinate, 0, size - 1) : unsafe_promise_clamped(coordinate, 0, size - 1);
  }

  // Clamped before the shift: what narrows it then need not saturate.
  static Expr pixel(const Expr& sum) { return clamp(sum, 0, (256 << kResampleBits) - 1) >> kResampleBits; }

  Halide::Type storage_type() {
    switch (element) {
      case Element::kUInt8:
        return Halide::UInt(8);
      case Element::kFloat32:
        return Halide::Float(32);
      case Element::kFloat16:
      case Element::kBFloat16:
        return Halide::UInt(16);
    }
    return {};
  }

  // A finite f32 as the output stores it: the nearest, of two as near the even one.
  Expr stored(const Expr& value) {
    const Expr bits = Halide::reinterpret<uint32_t>(value);
    switch (element) {
      case Element::kUInt8:
      case Element::kFloat32:
        return value;
      case Element::kFloat16: {
        const Halide::Target target = get_target();
        if (target.has_feature(Halide::Target::CUDA) ||
            (target.has_feature(Halide::Target::F16C) && !target.has_feature(Halide::Target::OpenCL))) {
          return Halide::reinterpret<uint16_t>(cast(Halide::Float(16), value));
        }
        const Expr sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
        // The exponent's bias is 127 - 15 less. 13 bits are rounded off; a carry goes to the exponent, as it should.
        const Expr normal = (magnitude - (112 << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
        // Below 2^-14 the last place is worth 2^-24, as in f32 from 2^-1 to 2^0.
        const Expr half = 0.5f;
        const Expr subnormal = Halide::reinterpret<uint32_t>(Halide::strict_float(abs(value) + half)) -
                               Halide::reinterpret<uint32_t>(half);
        return cast<uint16_t>(sign | min(select(magnitude < (113 << 23), subnormal, normal), 0x7c00));
      }
      case Element::kBFloat16:
        return cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
    return {};
  }

  Var x{"x"}, y{"y"}, c{"c"}, b{"b"}, j{"j"}, f{"f"}, tx{"tx"}, ty{"ty"}, tap{"tap"};
  Func column_of_bytes{"column_of_bytes"}, source{"source"}, x_sum{"x_sum"}, x_pixel{"x_pixel"}, row{"row"},
      y_sum{"y_sum"};
  std::vector<Func> byte_tiles, pixel_tiles;
  RDom rx, ry, views;
  Input<Buffer<int32_t>>* erase = nullptr;
  Input<Buffer<float>>* scale = nullptr;
  Input<Buffer<float>>* offset = nullptr;
  Input<Buffer<float>>* erased = nullptr;
  Output<Buffer<>>* output = nullptr;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(Resize, resize)
