// The weighted sum of images; what it computes is said in mix_images.h.
#include <utility>

#include "Halide.h"

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// A product that is rounded before anything is added to it. strict_float alone does not keep them apart on CUDA; the
// comparison, with what no product here is below, does.
Expr Product(const Expr& a, const Expr& b) { return max(Halide::strict_float(a * b), -0x1p40f); }

class MixImages : public Halide::Generator<MixImages> {
 public:
  Input<Buffer<uint8_t, 3>> images{"images"};   // [B,K,P]
  Input<Buffer<float, 2>> weights{"weights"};   // [B,K]
  Output<Buffer<uint8_t, 2>> output{"output"};  // [B,P]

  void generate() {
    const auto term = [&](const Expr& k) { return Product(weights(k, b), cast<float>(images(p, k, b))); };
    rest = RDom(1, weights.dim(0).extent() - 1, "rest");
    sum(p, b) = term(0);
    sum(p, b) = Halide::strict_float(sum(p, b) + term(rest));
    output(p, b) = cast<uint8_t>(cast<int32_t>(clamp(sum(p, b), 0.0f, 255.0f)));
  }

  void schedule() {
    images.dim(0).set_min(0).set_stride(Expr());
    images.dim(1).set_min(0);
    images.dim(2).set_min(0);
    weights.dim(0).set_bounds(0, images.dim(1).extent()).set_stride(Expr());
    weights.dim(1).set_min(0);
    output.dim(0).set_bounds(0, images.dim(0).extent()).set_stride(Expr());
    output.dim(1).set_min(0);
    if (get_target().has_gpu_feature()) {
      Var thread{"thread"};
      output.gpu_tile(p, thread, 256, Halide::TailStrategy::GuardWithIf).gpu_blocks(b);
      return;
    }
    constexpr int kVector = 64, kTask = 8;
    Var vectors{"vectors"}, lane{"lane"}, task{"task"};
    output.split(b, task, b, kTask, Halide::TailStrategy::GuardWithIf).parallel(task);
    const Expr dense = images.dim(0).stride() == 1 && output.dim(0).stride() == 1;
    output.specialize(dense && images.dim(0).extent() >= kVector).split(p, vectors, lane, kVector).vectorize(lane);
    sum.compute_at(output, b).vectorize(p, kVector, Halide::TailStrategy::GuardWithIf);
    sum.update().vectorize(p, kVector, Halide::TailStrategy::GuardWithIf);
  }

 private:
  Var p{"p"}, b{"b"};
  Func sum{"sum"};
  RDom rest;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(MixImages, mix_images_op)
