// The attention ops; what they compute is said in activation_map.h and attention_transfer.h.
#include <cmath>
#include <memory>
#include <vector>

#include "Halide.h"

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Partition;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

enum class Mode { kMap, kBackward, kTransfer };
// Which dimension of the features lies innermost: x or c.
enum class Layout { kPlanar, kInterleaved };
// The map's kind is known to be the mean square, or is a parameter.
enum class Kinds { kSquare, kAny };

// Values of the parameter: ActivationKind.
enum { kMeanAbsolute, kMeanSquare, kMeanFourth, kMaximum };

constexpr float kMinimumNorm = 1e-12f;

class Attention : public Halide::Generator<Attention> {
 public:
  GeneratorParam<Mode> mode{
      "mode", Mode::kMap, {{"map", Mode::kMap}, {"backward", Mode::kBackward}, {"transfer", Mode::kTransfer}}};
  GeneratorParam<Layout> layout{
      "layout", Layout::kPlanar, {{"planar", Layout::kPlanar}, {"interleaved", Layout::kInterleaved}}};
  GeneratorParam<Kinds> kinds{"kinds", Kinds::kSquare, {{"square", Kinds::kSquare}, {"any", Kinds::kAny}}};

  // Halide counts dimensions from the innermost: the reverse of how shapes are written.
  Input<Buffer<float, 4>> features{"features"};  // [B,C,H,W]

  void configure() {
    if (mode != Mode::kMap) given = add_input<Buffer<float, 3>>("given");  // [B,H,W]: the map's gradient, or the target
    kind = add_input<int32_t>("kind");
    normalize = add_input<bool>("normalize");
    if (mode == Mode::kMap) {
      map = add_output<Buffer<float, 3>>("map");  // [B,H,W]
    } else {
      gradient = add_output<Buffer<float, 4>>("gradient");  // [B,C,H,W]
    }
    if (mode == Mode::kTransfer) {
      rows = add_output<Buffer<float, 1>>("rows");  // [B]
      loss = add_output<Buffer<float, 1>>("loss");  // [1]
    }
  }

  void generate() {
    gpu = get_target().has_gpu_feature();
    lanes = gpu ? 128 : 16;
    width = features.dim(0).extent();
    height = features.dim(1).extent();
    channels = features.dim(2).extent();
    batch = features.dim(3).extent();
    const Expr at_x = clamp(x, 0, width - 1), at_b = clamp(b, 0, batch - 1);
    const bool square = kinds == Kinds::kSquare;

    // Over channels; all values are at least 0. The kind is in factors of 0 and 1: were it in branches, every loop
    // would be compiled once for each.
    const auto join = [&](const Expr& so_far, const Expr& value) {
      if (square) return so_far + value;
      const Expr sum = (1.0f - Is(kMaximum)) * so_far + value, other = Is(kMaximum) * so_far;
      return select(strict_float(sum < other), other, sum);  // Keeps NaN.
    };
    const bool woven = layout == Layout::kInterleaved && !gpu;
    if (woven) {
      // Lanes of channels first.
      turn = RDom(0, (channels + lanes - 1) / lanes, "turn");
      lane_of_channel = RDom(0, lanes, "lane_of_channel");
      const Expr at_c = turn * lanes + lane;
      part(lane, x, y, b) = 0.0f;
      part(lane, x, y, b) =
          join(part(lane, x, y, b),
               select(at_c < channels, Value(features(at_x, y, clamp(at_c, 0, channels - 1), at_b)), 0.0f));
      total(x, y, b) = 0.0f;
      total(x, y, b) = join(total(x, y, b), part(lane_of_channel, x, y, b));
    } else {
      channel = RDom(0, channels, "channel");
      total(x, y, b) = 0.0f;
      total(x, y, b) = join(total(x, y, b), Value(features(at_x, y, channel, at_b)));
    }
    const Expr share_of_channel = 1.0f / cast<float>(channels);
    Func mean("mean");
    mean(x, y, b) =
        total(x, y, b) * (square ? share_of_channel : share_of_channel + Is(kMaximum) * (1.0f - share_of_channel));

    const Func squares = PixelSum({mean(x, y, b) * mean(x, y, b)});
    length(b) = strict_float(sqrt(squares(0, b)));  // May be infinite.
    // Products instead of select: on a GPU a stage that is needed now and then would wait at barriers now and then.
    const Expr normalized = cast<float>(*normalize);
    // NaN stays, and what overflowed becomes NaN: divided by an infinite length a map would be a plausible 0.
    const Expr finite = strict_float(select(is_finite(length(b)), length(b), NAN));
    const Expr divisor = select(strict_float(length(b) < kMinimumNorm), kMinimumNorm, finite);
    // Strict: 1 + normalized * (divisor - 1) would lose a small divisor.
    norm(b) = strict_float(normalized * divisor + (1.0f - normalized));
    Func q("q");
    q(x, y, b) = mean(x, y, b) / norm(b);
    if (mode == Mode::kMap) {
      (*map)(x, y, b) = q(x, y, b);
      return;
    }

    // By q.
    const Expr pixels = cast<float>(width * height);
    const Expr value = (*given)(at_x, y, at_b);
    Func slope("slope");
    std::vector<Expr> terms;
    if (mode == Mode::kTransfer) {
      const Expr difference = q(x, y, b) - value;
      slope(x, y, b) = difference * (2.0f / (pixels * cast<float>(batch)));
      terms = {q(x, y, b) * slope(x, y, b), difference * difference};
    } else {
      slope(x, y, b) = value;
      terms = {q(x, y, b) * value};
    }
    const Func sums = PixelSum(terms);
    // By the mean over channels: what is along q has no effect on a map of length 1.
    const Expr along = normalized * cast<float>(length(b) >= kMinimumNorm) * sums(0, b);
    by_mean(x, y, b) = (slope(x, y, b) - q(x, y, b) * along) / norm(b);
    const Expr f = features(x, y, c, b);
    if (square) {
      (*gradient)(x, y, c, b) = f * (by_mean(x, y, b) * (2.0f * share_of_channel));
    } else {
      const Expr sign = select(f > 0.0f, 1.0f, f < 0.0f, -1.0f, 0.0f);
      every_channel = RDom(0, channels, "every_channel");
      ties(x, y, b) = 0.0f;
      ties(x, y, b) += select(abs(features(at_x, y, every_channel, at_b)) == total(x, y, b), 1.0f, 0.0f);
      const Expr derivative = share_of_channel * (Is(kMeanAbsolute) * sign +
                                                  f * (2.0f * Is(kMeanSquare) + 4.0f * Is(kMeanFourth) * (f * f)));
      const Expr of_maximum = sign * Is(kMaximum) * cast<float>(abs(f) == total(x, y, b)) / max(ties(x, y, b), 1.0f);
      (*gradient)(x, y, c, b) = (derivative + of_maximum) * by_mean(x, y, b);
    }

    if (mode == Mode::kTransfer) {
      (*rows)(b) = sums(1, b) / pixels;
      every_sample = RDom(0, batch, "every_sample");
      mean_of_rows(i) = 0.0f;
      mean_of_rows(i) += (*rows)(every_sample) / cast<float>(batch);
      (*loss)(i) = mean_of_rows(i);
    }
  }

  void schedule() {
    const bool woven = layout == Layout::kInterleaved;
    features.dim(0).set_min(0).set_stride(woven ? Expr() : Expr(1));
    features.dim(1).set_min(0);
    features.dim(2).set_min(0);
    features.dim(3).set_min(0);
    if (woven) features.dim(2).set_stride(1);
    if (given != nullptr) Bound(*given);
    if (map != nullptr) Bound(*map);
    if (gradient != nullptr) {
      gradient->dim(0).set_bounds(0, width).set_stride(woven ? Expr() : Expr(1));
      gradient->dim(1).set_bounds(0, height);
      gradient->dim(2).set_bounds(0, channels);
      gradient->dim(3).set_bounds(0, batch);
      if (woven) gradient->dim(2).set_stride(1);
    }
    if (rows != nullptr) {
      rows->dim(0).set_bounds(0, batch);
      loss->dim(0).set_bounds(0, 1);
    }
    if (gpu) {
      ScheduleGpu();
    } else {
      ScheduleCpu();
    }
  }

 private:
  // Of a sum over pixels: what each lane adds up, and the whole (j, b).
  struct Sum {
    Func partial, whole;
    RDom turn, lanes;
    int size;
  };

  Expr Is(int value) { return cast<float>(*kind == value); }

  Expr Value(const Expr& f) {
    if (kinds == Kinds::kSquare) return f * f;
    const Expr a = abs(f);
    return a * (Is(kMeanAbsolute) + Is(kMaximum) + a * (Is(kMeanSquare) + Is(kMeanFourth) * (a * a)));
  }

  template <typename Image>
  void Bound(Image& image) {
    image.dim(0).set_bounds(0, width);
    image.dim(1).set_bounds(0, height);
    image.dim(2).set_bounds(0, batch);
  }

  // The sums of `terms`, functions of x, y and b, over a sample's pixels: result(j, b).
  Func PixelSum(const std::vector<Expr>& terms) {
    const int size = static_cast<int>(terms.size());
    Func term("term"), partial("partial"), whole("whole");
    term(x, y, j, b) = select(x < width, size == 1 ? terms[0] : mux(j, terms), 0.0f);
    const RDom pixels(0, (width + lanes - 1) / lanes, 0, height, "pixels");
    const RDom over(0, lanes, "over");
    partial(lane, j, b) = 0.0f;
    partial(lane, j, b) += term(pixels.x * lanes + lane, pixels.y, j, b);
    whole(j, b) = 0.0f;
    whole(j, b) += partial(over, j, b);
    sums_.push_back({partial, whole, pixels, over, size});
    return whole;
  }

  void ScheduleCpu() {
    Func output = map != nullptr ? Func(*map) : Func(*gradient);
    output.parallel(b);
    if (map != nullptr) {
      output.vectorize(x, lanes, TailStrategy::GuardWithIf);
    } else if (layout == Layout::kPlanar) {
      output.vectorize(x, lanes, TailStrategy::GuardWithIf);
    } else {
      output.reorder(c, x, y, b).vectorize(c, lanes, TailStrategy::GuardWithIf);
    }
    if (rows != nullptr) rows->parallel(b).compute_with(output, b);

    for (const Sum& sum : sums_) {
      Func partial = sum.partial, whole = sum.whole;
      partial.compute_at(output, b).bound_extent(b, 1).bound(j, 0, sum.size).unroll(j).reorder(lane, j);
      partial.vectorize(lane).update().unroll(j).reorder(lane, j, sum.turn.x, sum.turn.y).vectorize(lane);
      whole.compute_at(output, b).bound_extent(b, 1).bound(j, 0, sum.size).unroll(j);
      whole.update().unroll(j).reorder(sum.lanes, j).atomic().vectorize(sum.lanes);
    }
    for (Func f : {length, norm}) f.compute_at(output, b).bound_extent(b, 1);
    total.compute_at(output, b).bound_extent(b, 1);
    if (layout == Layout::kPlanar) {
      total.vectorize(x, lanes);
      total.update().reorder(x, y, channel).vectorize(x, lanes);
    } else {
      // Sixteen pixels at a time, whose lanes are added up together.
      Var xo("xo");
      total.vectorize(x, lanes);
      total.update().split(x, xo, x, lanes).reorder(x, lane_of_channel, xo, y);
      if (kinds == Kinds::kSquare) total.update().atomic().vectorize(lane_of_channel).vectorize(x);
      part.compute_at(total, xo).vectorize(lane).unroll(x);
      part.update().reorder(lane, x, turn).vectorize(lane).unroll(x);
    }
    if (map == nullptr) by_mean.compute_at(output, b).bound_extent(b, 1).vectorize(x, lanes);
    if (kinds == Kinds::kAny && map == nullptr) {
      ties.compute_at(output, b).bound_extent(b, 1);
      if (layout == Layout::kPlanar) {
        ties.vectorize(x, lanes).update().reorder(x, y, every_channel).vectorize(x, lanes);
      } else {
        ties.update().reorder(every_channel, x, y);
      }
    }
    if (rows != nullptr) mean_of_rows.compute_root();
  }

  void ScheduleGpu() {
    Func output = map != nullptr ? Func(*map) : Func(*gradient);
    Var xo("xo"), co("co");
    if (map != nullptr) {
      output.split(x, xo, x, lanes, TailStrategy::GuardWithIf).gpu_blocks(b).gpu_threads(x);
    } else if (layout == Layout::kPlanar) {
      output.split(x, xo, x, lanes, TailStrategy::GuardWithIf).reorder(c, xo, y, x, b).gpu_blocks(b).gpu_threads(x);
    } else {
      output.split(c, co, c, 32, TailStrategy::GuardWithIf).split(x, xo, x, lanes / 32, TailStrategy::GuardWithIf);
      // 32 channels by 4 places, as one dimension of threads: all stages of a block have 128.
      output.reorder(co, xo, y, c, x, b).fuse(c, x, c).gpu_blocks(b).gpu_threads(c);
    }
    if (rows != nullptr) rows->gpu_blocks(b).compute_with(output, b);

    for (const Sum& sum : sums_) {
      Func partial = sum.partial, whole = sum.whole;
      partial.compute_at(output, b).bound_extent(b, 1).bound(j, 0, sum.size).unroll(j).reorder(j, lane);
      partial.gpu_threads(lane).update().unroll(j).reorder(j, sum.turn.x, sum.turn.y, lane).gpu_threads(lane);
      whole.compute_at(output, b).bound_extent(b, 1).bound(j, 0, sum.size).gpu_threads(j);
      whole.update().reorder(sum.lanes, j).gpu_threads(j);
    }
    for (Func f : {length, norm}) f.compute_at(output, b).bound_extent(b, 1);
    std::vector<Func> pixels = {total};
    if (kinds == Kinds::kAny && map == nullptr) pixels.push_back(ties);
    for (Func f : pixels) {
      const RDom& over = f.name() == total.name() ? channel : every_channel;
      f.compute_at(output, b).bound_extent(b, 1).split(x, xo, x, lanes).reorder(xo, y, x).gpu_threads(x);
      f.update().split(x, xo, x, lanes).reorder(over, xo, y, x).gpu_threads(x);
    }
    if (rows != nullptr) {
      RVar ro("ro"), ri("ri");
      Func(*loss).gpu_blocks(i);
      mean_of_rows.compute_at(*loss, i);
      Func partial = mean_of_rows.update().split(every_sample, ro, ri, lanes).rfactor(ri, lane);
      partial.compute_at(*loss, i).gpu_threads(lane).update().reorder(ro, lane).gpu_threads(lane);
    }
  }

  Input<Buffer<float, 3>>* given = nullptr;
  Input<int32_t>* kind = nullptr;
  Input<bool>* normalize = nullptr;
  Output<Buffer<float, 3>>* map = nullptr;
  Output<Buffer<float, 4>>* gradient = nullptr;
  Output<Buffer<float, 1>>* rows = nullptr;
  Output<Buffer<float, 1>>* loss = nullptr;

  bool gpu = false;
  int lanes = 0;
  Expr width, height, channels, batch;
  Var x{"x"}, y{"y"}, c{"c"}, b{"b"}, i{"i"}, j{"j"}, lane{"lane"};
  Func part{"part"}, total{"total"}, length{"length"}, norm{"norm"}, by_mean{"by_mean"}, ties{"ties"},
      mean_of_rows{"mean_of_rows"};
  RDom turn, lane_of_channel, channel, every_channel, every_sample;
  std::vector<Sum> sums_;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(Attention, attention)
