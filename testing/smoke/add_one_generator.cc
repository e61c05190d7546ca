#include "Halide.h"

namespace {

// y(x) = a(x) + 1
class AddOne : public Halide::Generator<AddOne> {
 public:
  Input<Buffer<float, 1>> a{"a"};
  Output<Buffer<float, 1>> y{"y"};

  void generate() { y(x) = a(x) + 1.0f; }

  void schedule() {
    if (get_target().has_gpu_feature()) {
      Halide::Var block, thread;
      y.gpu_tile(x, block, thread, 64, Halide::TailStrategy::GuardWithIf);
    } else {
      y.vectorize(x, natural_vector_size<float>(), Halide::TailStrategy::GuardWithIf);
    }
  }

 private:
  Halide::Var x{"x"};
};

}  // namespace

HALIDE_REGISTER_GENERATOR(AddOne, add_one)
