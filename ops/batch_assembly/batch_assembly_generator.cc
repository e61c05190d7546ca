// The batch assembly ops; what they compute is said in batch_assembly.h.
#include <vector>

#include "Halide.h"

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Pixels of one vector step on a processor, on every instruction set.
constexpr int kStep = 16;
// Images of one parallel task.
constexpr int kTask = 4;
// Threads of a block on a GPU.
constexpr int kThreads = 128;
// Bytes that a thread stores at once where the layout allows it.
constexpr int kStoreBytes = 8;

// Columns of params: BatchAssemblyParams.
enum { kDy, kDx, kFlip, kEraseTop, kEraseLeft, kEraseBottom, kEraseRight, kParams };

enum class Element { kUInt8, kFloat32, kFloat16, kBFloat16 };
enum class Layout { kAny, kPlanar, kInterleaved };

class BatchAssembly : public Halide::Generator<BatchAssembly> {
 public:
  // What the output holds. 16-bit numbers are u16 here: not every GPU language knows them.
  GeneratorParam<Element> element{"element",
                                  Element::kFloat32,
                                  {{"uint8", Element::kUInt8},
                                   {"float32", Element::kFloat32},
                                   {"float16", Element::kFloat16},
                                   {"bfloat16", Element::kBFloat16}}};
  // For a GPU: runs of 8 bytes of a plane's row, or of a row of dense pixels, are the u64 elements of the output.
  GeneratorParam<Layout> layout{
      "layout",
      Layout::kAny,
      {{"any", Layout::kAny}, {"planar", Layout::kPlanar}, {"interleaved", Layout::kInterleaved}}};
  // Two sources an image instead of one: mixup and CutMix.
  GeneratorParam<bool> mix{"mix", false};

  // Halide counts dimensions from the innermost: the reverse of how shapes are written.
  Input<Buffer<uint8_t, 4>> images{"images"};    // [N,H,W,C]
  Input<Buffer<int64_t, 2>> index{"index"};      // [B,S], S = 1 or 2
  Input<Buffer<int32_t, 3>> params{"params"};    // [B,S,7]
  Input<Buffer<float, 1>> lambda{"lambda"};      // [B]; with S = 1 not looked at
  Input<Buffer<int32_t, 2>> mix_box{"mix_box"};  // [B,4]: top, left, bottom, right; the same
  Input<Buffer<float, 1>> scale{"scale"};        // [C]; for u8 not looked at
  Input<Buffer<float, 1>> offset{"offset"};      // [C]; the same
  Input<bool> reflect{"reflect"};                // what lies outside an image
  Output<Buffer<void, 4>> output{"output"};      // [B,C,H,W]; in runs, [B,C,H,W/run] or [B,1,H,W*C/run]

  void configure() { output.set_type(layout.value() == Layout::kAny ? StorageType() : Halide::UInt(64)); }

  void generate() {
    const int run = kStoreBytes / StorageType().bytes();
    switch (layout.value()) {
      case Layout::kAny:
        output(x, y, c, b) = Converted(Value(x, c));
        break;
      case Layout::kPlanar: {
        Expr packed = cast<uint64_t>(0);
        for (int i = 0; i < run; ++i) packed = packed | Bits(Converted(Value(x * run + i, c)), i);
        output(x, y, c, b) = packed;
        break;
      }
      case Layout::kInterleaved: {
        Expr packed = cast<uint64_t>(0);
        for (int i = 0; i < run; ++i) {
          const Expr e = x * run + i;
          packed = packed | Bits(Converted(Value(e / channels(), e % channels())), i);
        }
        output(x, y, c, b) = packed;
        break;
      }
    }
  }

  void schedule() {
    images.dim(0).set_min(0).set_stride(Expr());
    images.dim(1).set_min(0);
    if (layout.value() == Layout::kInterleaved) {
      images.dim(0).set_stride(1);
      images.dim(1).set_stride(channels());
    }
    images.dim(2).set_min(0);
    images.dim(3).set_min(0);
    index.dim(0).set_bounds(0, mix ? 2 : 1).set_stride(Expr());
    params.dim(0).set_bounds(0, kParams).set_stride(Expr());
    params.dim(1).set_bounds(0, mix ? 2 : 1);
    lambda.dim(0).set_stride(Expr());
    mix_box.dim(0).set_min(0).set_stride(Expr());
    scale.dim(0).set_min(0).set_stride(Expr());
    offset.dim(0).set_min(0).set_stride(Expr());
    output.dim(0).set_min(0).set_stride(Expr());
    output.dim(1).set_bounds(0, height());
    output.dim(2).set_min(0);
    output.dim(3).set_min(0);
    if (layout.value() == Layout::kAny) {
      output.dim(0).set_extent(width());
      output.dim(2).set_extent(channels());
    }
    if (on_gpu()) {
      ScheduleOnGpu();
    } else {
      ScheduleOnCpu();
    }
  }

 private:
  // What image b shows at (y, column, channel), before it is converted to the output's type.
  Expr Value(const Expr& column, const Expr& channel) {
    if (!mix) return Source(0, column, channel);
    const Expr one = Source(0, column, channel), other = Source(1, column, channel);
    const Expr in_box = Within(column, mix_box(0, b), mix_box(1, b), mix_box(2, b), mix_box(3, b));
    const Expr share = OfImage(lambda(b));
    return select(in_box, other, strict(Product(one, share) + Product(other, strict(1.0f - share))));
  }

  // The same of source s alone.
  Expr Source(int s, const Expr& column, const Expr& channel) {
    const Expr pixel = Window(s, column, channel);
    const Expr erased = Within(column, params(kEraseTop, s, b), params(kEraseLeft, s, b), params(kEraseBottom, s, b),
                               params(kEraseRight, s, b));
    if (element.value() == Element::kUInt8) return select(erased, cast<uint8_t>(0), pixel);
    return select(erased, 0.0f, strict(Product(cast<float>(pixel), scale(channel)) + offset(channel)));
  }

  // The pixel at (y, column) of the window that image b cuts out of its source s.
  Expr Window(int s, const Expr& column, const Expr& channel) {
    const Expr image = OfImage(clamp(cast<int32_t>(index(s, b)), 0, images.dim(3).extent() - 1));
    const Expr dy = OfImage(clamp(params(kDy, s, b), -height(), height()));
    const Expr dx = OfImage(clamp(params(kDx, s, b), -width(), width()));
    const Expr flip = OfImage(params(kFlip, s, b)) != 0;
    const Expr row_inside = y + dy >= 0 && y + dy < height();
    const Expr source_row = select(reflect, Reflected(y + dy, height()), clamp(y + dy, 0, height() - 1));
    const Expr black = cast<uint8_t>(0);
    if (on_gpu()) {
      const Expr at = select(flip, width() - 1 - column, column) + dx;
      const Expr inside = row_inside && at >= 0 && at < width();
      const Expr source_column = select(reflect, Reflected(at, width()), clamp(at, 0, width() - 1));
      return select(inside || reflect, images(channel, source_column, source_row, image), black);
    }
    // The source's whole row is unpacked to planes, black or reflected beyond its ends, and the window read from there:
    // no vector step then asks where a column is.
    Func row("row");
    RDom rx(0, width(), "rx");
    row(x, c, y, b) = black;
    row(rx, c, y, b) = select(row_inside || reflect, images(c, rx, source_row, image), black);
    RDom margin(0, width(), "margin");
    margin.where(reflect && margin < abs(dx));
    const Expr beyond = select(dx < 0, -1 - margin, width() + margin);
    row(beyond, c, y, b) = row(Reflected(beyond, width()), c, y, b);
    rows.push_back(row);
    // One load for each way: a reversed vector is as good as a straight one, a gather is not.
    return select(flip, row(width() - 1 - column + dx, channel, y, b), row(column + dx, channel, y, b));
  }

  // i mirrored at 0 and n - 1, the ends not repeated; right within n - 1 of them, in range everywhere.
  static Expr Reflected(const Expr& i, const Expr& n) {
    const Expr back = abs(i);
    return clamp(min(back, 2 * (n - 1) - back), 0, n - 1);
  }

  Expr Within(const Expr& column, const Expr& top, const Expr& left, const Expr& bottom, const Expr& right) {
    return y >= OfImage(top) && y < OfImage(bottom) && column >= OfImage(left) && column < OfImage(right);
  }

  // What is the same for all pixels of image b: a processor reads it once, not in every row.
  Expr OfImage(const Expr& value) {
    Func once("once");
    once(b) = value;
    of_image.push_back(once);
    return once(b);
  }

  Halide::Type StorageType() const {
    switch (element.value()) {
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

  // As the output stores it: nearest, ties to even.
  Expr Converted(const Expr& value) {
    switch (element.value()) {
      case Element::kUInt8:
      case Element::kFloat32:
        return value;
      case Element::kFloat16:
        if (!HasFloat16()) return Float16Bits(value);
        return Halide::reinterpret<uint16_t>(cast(Halide::Float(16), value));
      case Element::kBFloat16: {
        const Expr bits = Halide::reinterpret<uint32_t>(value);
        return cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
      }
    }
    return {};
  }

  // The float16 nearest to a finite f32, by its bits.
  static Expr Float16Bits(const Expr& value) {
    const Expr bits = Halide::reinterpret<uint32_t>(value);
    const Expr sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
    // The exponent's bias goes from 127 to 15; 13 bits of the fraction are rounded off, and may carry into it.
    const Expr normal = (magnitude - (112 << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    // Below 2^-14 the unit is 2^-24: adding 2^-1, whose last place that is, rounds to it.
    const Expr small = Halide::reinterpret<uint32_t>(strict(Halide::reinterpret<float>(magnitude) + 0.5f)) -
                       Halide::reinterpret<uint32_t>(Expr(0.5f));
    return cast<uint16_t>(sign | min(select(magnitude < (113 << 23), small, normal), 0x7c00));
  }

  // The i-th element of a run, in its place; little-endian.
  Expr Bits(const Expr& value, int i) {
    const int bits = StorageType().bits();
    const Expr plain = bits == 32 ? Halide::reinterpret<uint32_t>(value) : value;
    return cast<uint64_t>(plain) << (i * bits);
  }

  // Never fused or reordered, so that all instruction sets give the same bits.
  static Expr strict(const Expr& e) { return Halide::strict_float(e); }

  // A product to be added to. The maximum changes nothing, but CUDA's code generation fuses what stands side by side.
  Expr Product(const Expr& a, const Expr& b) const {
    const Expr product = strict(a * b);
    return get_target().has_feature(Halide::Target::CUDA) ? max(product, Halide::Float(32).min()) : product;
  }

  void ScheduleOnCpu() {
    // Rows are unpacked to planes in cache; vectors of a plane are then converted and, for channels_last, woven
    // together.
    Var task{"task"};
    Func out = output;
    // Without copies of the loops for where something is erased and where nothing is: they cost more than they save.
    out.reorder(c, x, y, b)
        .split(b, task, b, kTask, Halide::TailStrategy::GuardWithIf)
        .parallel(task)
        .never_partition_all();
    for (Func& once : of_image) once.compute_at(out, b);
    for (Func& row : rows) {
      const Halide::RVar column = row.rvars(0)[0];
      row.compute_at(out, y).store_at(out, b).vectorize(x, 2 * kStep);
      row.specialize(channels() == 3).reorder(c, x).unroll(c, 3);
      row.update(0).vectorize(column, kStep);
      // What is loaded and where it lies is the same for all channels.
      row.update(0)
          .specialize(channels() == 3 && images.dim(0).stride() == 1 && images.dim(1).stride() == 3)
          .reorder(c, column)
          .unroll(c, 3);
      row.update(0).specialize(images.dim(1).stride() == 1);
      row.update(1).unscheduled();  // A few columns, and none unless reflected.
    }
    // Any channel count, strides and width work; these are fast, from pixels or planes that are dense.
    const Expr planar = output.dim(0).stride() == 1;
    const Expr interleaved = output.dim(0).stride() == 3 && output.dim(2).stride() == 1;
    const Expr wide = width() >= kStep;
    out.specialize(channels() == 3 && planar && wide).unroll(c, 3).vectorize(x, kStep);
    out.specialize(channels() == 3 && interleaved && wide).unroll(c, 3).vectorize(x, kStep);
    out.specialize(channels() == 1 && planar && wide).unroll(c, 1).vectorize(x, kStep);
  }

  void ScheduleOnGpu() {
    Var block{"block"}, thread{"thread"}, place{"place"};
    Func out = output;
    out.reorder(c, x, y, b)
        .fuse(x, y, place)
        .split(place, block, thread, kThreads, Halide::TailStrategy::GuardWithIf)
        .gpu_blocks(block, b)
        .gpu_threads(thread);
    // Last: three channels would have nothing of what comes after it.
    if (layout.value() == Layout::kInterleaved) out.specialize(channels() == 3);
  }

  bool HasFloat16() const {
    return get_target().has_feature(Halide::Target::F16C) && !get_target().has_feature(Halide::Target::OpenCL);
  }
  bool on_gpu() const { return get_target().has_gpu_feature(); }
  Expr channels() { return images.dim(0).extent(); }
  Expr width() { return images.dim(1).extent(); }
  Expr height() { return images.dim(2).extent(); }

  Var x{"x"}, y{"y"}, c{"c"}, b{"b"};
  std::vector<Func> rows, of_image;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchAssembly, batch_assembly)
