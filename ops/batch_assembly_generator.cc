// The batch assembly op; what it computes is said in batch_assembly.h.
#include "Halide.h"

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Pixels of one vector step, on every instruction set.
constexpr int kStep = 16;
// Images of one parallel task.
constexpr int kTask = 4;

class BatchAssembly : public Halide::Generator<BatchAssembly> {
 public:
  // Halide counts dimensions from the innermost: the reverse of how shapes are written.
  Input<Buffer<uint8_t, 4>> images{"images"};  // [N,H,W,C]
  Input<Buffer<int64_t, 1>> index{"index"};    // [B]
  Input<Buffer<int32_t, 2>> params{"params"};  // [B,3]: dy, dx, flip
  Input<Buffer<float, 1>> scale{"scale"};      // [C]
  Input<Buffer<float, 1>> offset{"offset"};    // [C]
  Output<Buffer<float, 4>> output{"output"};   // [B,C,H,W]

  void generate() {
    const Expr height = images.dim(2).extent();
    const Expr size = images.dim(3).extent();
    const Expr image = clamp(cast<int32_t>(index(b)), 0, size - 1);
    const Expr dy = clamp(params(0, b), -height, height);
    const Expr dx = clamp(params(1, b), -width(), width());
    const Expr flip = params(2, b) != 0;

    // The image's row that row y of the window shows, black beyond its ends or where there is none.
    rx = RDom(0, width(), "rx");
    const Expr source = y + dy;
    const Expr black = cast<uint8_t>(0);
    row(x, c, y, b) = black;
    row(rx, c, y, b) =
        select(source >= 0 && source < height, images(c, rx, clamp(source, 0, height - 1), image), black);

    const Expr pixel = select(flip, row(width() - 1 - x + dx, c, y, b), row(x + dx, c, y, b));
    // Strict, so that no instruction set fuses product and sum: all give the same bits.
    output(x, y, c, b) = Halide::strict_float(cast<float>(pixel) * scale(c) + offset(c));
  }

  void schedule() {
    images.dim(0).set_min(0).set_stride(1);
    images.dim(1).set_min(0).set_stride(channels());
    images.dim(2).set_min(0);
    images.dim(3).set_min(0);
    index.dim(0).set_stride(Expr());
    params.dim(0).set_bounds(0, 3).set_stride(Expr());
    scale.dim(0).set_bounds(0, channels()).set_stride(Expr());
    offset.dim(0).set_bounds(0, channels()).set_stride(Expr());
    output.dim(0).set_bounds(0, width()).set_stride(Expr());
    output.dim(1).set_bounds(0, images.dim(2).extent());
    output.dim(2).set_bounds(0, channels());
    output.dim(3).set_min(0);

    // Rows are unpacked to planes in cache; vectors of a plane are then converted and, for channels_last, woven
    // together.
    Var task{"task"};
    output.reorder(c, x, y, b).split(b, task, b, kTask, Halide::TailStrategy::GuardWithIf).parallel(task);
    row.compute_at(output, y).store_at(output, b).vectorize(x, kStep);
    row.update(0).vectorize(rx, kStep);
    // Any channel count, strides and width work; these are fast.
    for (const int count : {3, 1, 4}) {
      const Expr planar = output.dim(0).stride() == 1;
      const Expr interleaved = output.dim(0).stride() == count && output.dim(2).stride() == 1;
      for (const Expr& layout : {planar, interleaved}) {
        output.specialize(channels() == count && layout && width() >= kStep).unroll(c, count).vectorize(x, kStep);
      }
    }
  }

 private:
  Expr channels() { return images.dim(0).extent(); }
  Expr width() { return images.dim(1).extent(); }

  Var x{"x"}, y{"y"}, c{"c"}, b{"b"};
  Func row{"row"};
  RDom rx;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(BatchAssembly, batch_assembly_op)
