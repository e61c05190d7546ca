// What the generators of this folder share: the exponential, and the schedule of a loss that is taken row by row.
#pragma once

#include <utility>
#include <vector>

#include "Halide.h"

namespace retort::ops {

// e^r - 1 for |r| <= log(2) / 2, near 0 as good as elsewhere: r + r^2 q(r), q fitted for the least relative error (3e-9
// of e^r).
inline Halide::Expr ExpLessOne(const Halide::Expr& r) {
  Halide::Expr q = 1.3814467e-3f;
  for (const float coefficient : {8.3687804e-3f, 4.1668394e-2f, 1.6666520e-1f, 4.9999993e-1f}) q = q * r + coefficient;
  return (q * r) * r + r;
}

// e^x for x <= 0, at most 2 units in the last place off; 0 below -87.3, where it would be denormal. NaN stays NaN.
// Halide's exp is a call for each element, and its fast_exp is off by up to 1e-5.
inline Halide::Expr ExpOfNegative(const Halide::Expr& x) {
  using Halide::strict_float;
  // x = n log 2 + r, |r| <= log(2) / 2. Adding 1.5 * 2^23 rounds to an integer, which then lies in the low bits; log 2
  // is taken away in two parts, the first of which is exact.
  const Halide::Expr magic = 12582912.0f;
  const Halide::Expr shifted = strict_float(x * 1.44269504f + magic);
  const Halide::Expr n = strict_float(shifted - magic);
  const Halide::Expr r = strict_float(x - n * 0.693359375f) + n * 2.12194440e-4f;
  const Halide::Expr power = Halide::reinterpret<float>((Halide::reinterpret<uint32_t>(shifted) + 127) << 23);
  return select(strict_float(x < -87.3f), 0.0f, (ExpLessOne(r) + 1.0f) * power);
}

// Of x > 0; NaN stays NaN, of which Halide's log makes -inf.
inline Halide::Expr LogOfPositive(const Halide::Expr& x) { return select(is_nan(x), x, log(x)); }

// A logit whose power of e is 0.
constexpr float kNever = -1e30f;

// p x, and 0 where p is 0, whatever x is.
inline Halide::Expr OrZero(const Halide::Expr& p, const Halide::Expr& x) {
  return select(Halide::strict_float(p == 0.0f), 0.0f, p * x);
}

// A loss of logits [B,K]: reductions over a row, what then is known of the row, the gradient, and the mean over rows.
//
// On the CPU a row is worked on while it lies in cache, in vectors of classes; on a GPU it is a block, whose threads
// take the classes in turn. Rows are filled up to whole vectors, or to whole turns of the threads.
class RowLoss {
 public:
  RowLoss(const Halide::Target& target, const Halide::Expr& batch, const Halide::Expr& classes)
      : gpu_(target.has_gpu_feature()),
        width_(gpu_ ? 128 : 16),
        batch_(batch),
        classes_(classes),
        turn_(0, (classes + width_ - 1) / width_, "turn") {}

  Halide::Var c{"c"}, b{"b"}, j{"j"}, i{"i"};

  // 1 / B.
  Halide::Expr Share() const { return 1.0f / Halide::cast<float>(max(batch_, 1)); }

  // b, and for Halide's bounds inference never beyond the batch.
  Halide::Expr At(const Halide::Expr& row) const { return clamp(row, 0, batch_ - 1); }

  // Row b of `matrix` [B,K], and `fill` beyond its end. Scratch on the CPU.
  Halide::Func Filled(const Halide::Func& matrix, float fill) {
    Halide::Func filled("filled");
    filled(c, b) = select(c < classes_, matrix(clamp(c, 0, classes_ - 1), At(b)), fill);
    Keep(filled);
    return filled;
  }

  // func(c, b) is computed once, not wherever it is used: scratch on the CPU. A GPU computes it again.
  void Keep(const Halide::Func& func) { kept_.push_back(func); }

  // func(b) or func(b, ...) is computed once for a row.
  void KeepScalar(const Halide::Func& func) { scalars_.push_back(func); }

  // The sum, or the greatest, over the row of each of `terms`, functions of c and b: result(j, b). Terms beyond the
  // row's end count, too.
  Halide::Func Sum(const std::vector<Halide::Expr>& terms) { return Reduce(terms, false); }
  Halide::Func Greatest(const std::vector<Halide::Expr>& terms) { return Reduce(terms, true); }

  // The loss of each row from its `parts`, and, weighted and not, the mean over rows: [total] of one part, [total, mean
  // of part 0, mean of part 1] of two.
  void Finish(Halide::Func rows, const std::vector<Halide::Expr>& parts, Halide::Func loss,
              const std::vector<Halide::Expr>& weights);

  void Schedule(Halide::Func gradient, Halide::Func rows, Halide::Func loss);

 private:
  // Elements of one parallel task on the CPU.
  static constexpr int kTask = 16384;

  // Partial results of the lanes (lane, j, b), and the whole (j, b).
  struct Reduction {
    Halide::Func partial, whole;
    Halide::RDom lanes;
    int size;
  };

  Halide::Func Reduce(const std::vector<Halide::Expr>& terms, bool greatest);

  bool gpu_;
  int width_;
  Halide::Expr batch_, classes_;
  Halide::RDom turn_, every_;
  Halide::Var lane_{"lane"};
  std::vector<Reduction> reductions_;
  std::vector<Halide::Func> kept_, scalars_;
  int parts_ = 0;
  Halide::Func mean_{"mean"};
};

inline Halide::Func RowLoss::Reduce(const std::vector<Halide::Expr>& terms, bool greatest) {
  using Halide::Expr;
  const int size = static_cast<int>(terms.size());
  Halide::Func term("term"), partial("partial"), whole(greatest ? "greatest" : "sum");
  term(c, j, b) = size == 1 ? terms[0] : mux(j, terms);
  const Halide::RDom lanes(0, width_, "lanes");
  const Expr start = greatest ? Halide::Float(32).min() : Expr(0.0f);
  partial(lane_, j, b) = start;
  whole(j, b) = start;
  const Expr next = term(turn_ * width_ + lane_, j, b);
  if (greatest) {
    partial(lane_, j, b) = max(partial(lane_, j, b), next);
    whole(j, b) = max(whole(j, b), partial(lanes, j, b));
  } else {
    partial(lane_, j, b) += next;
    whole(j, b) += partial(lanes, j, b);
  }
  reductions_.push_back({partial, whole, lanes, size});
  return whole;
}

inline void RowLoss::Finish(Halide::Func rows, const std::vector<Halide::Expr>& parts, Halide::Func loss,
                            const std::vector<Halide::Expr>& weights) {
  parts_ = static_cast<int>(parts.size());
  rows(j, b) = parts_ == 1 ? parts[0] : mux(j, parts);
  every_ = Halide::RDom(0, batch_, "every");
  mean_(i) = 0.0f;
  if (parts_ == 1) {
    mean_(i) += weights[0] * rows(0, every_);
  } else {
    mean_(i) += mux(i, {weights[0] * rows(0, every_) + weights[1] * rows(1, every_), Share() * rows(0, every_),
                        Share() * rows(1, every_)});
  }
  loss(i) = mean_(i);
}

inline void RowLoss::Schedule(Halide::Func gradient, Halide::Func rows, Halide::Func loss) {
  using namespace Halide;
  Var task("task"), co("co");
  RVar so("so"), si("si");

  // Two outputs, one pass.
  rows.bound(j, 0, parts_).unroll(j);
  if (gpu_) {
    gradient.split(c, co, c, width_, TailStrategy::GuardWithIf).reorder(c, co, b).gpu_blocks(b).gpu_threads(c);
    rows.gpu_blocks(b).compute_with(gradient, b);
  } else {
    const Expr rows_of_task = clamp(kTask / max(classes_, 1), 1, max(batch_, 1));
    gradient.split(b, task, b, rows_of_task, TailStrategy::GuardWithIf).parallel(task);
    gradient.vectorize(c, width_, TailStrategy::GuardWithIf);
    gradient.partition(task, Partition::Never).partition(b, Partition::Never);
    rows.split(b, task, b, rows_of_task, TailStrategy::GuardWithIf).parallel(task).compute_with(gradient, b);
  }

  for (const Reduction& reduction : reductions_) {
    Func partial = reduction.partial, whole = reduction.whole;
    partial.compute_at(gradient, b).bound(j, 0, reduction.size).bound_extent(b, 1).unroll(j);
    partial.update().unroll(j);
    whole.compute_at(gradient, b).bound(j, 0, reduction.size).bound_extent(b, 1);
    if (gpu_) {
      // All threads for their own classes, then one for each result.
      partial.reorder(j, lane_).gpu_threads(lane_);
      partial.update().reorder(j, turn_, lane_).gpu_threads(lane_);
      whole.gpu_threads(j).update().reorder(reduction.lanes, j).gpu_threads(j);
    } else {
      partial.reorder(lane_, j).vectorize(lane_);
      partial.update().reorder(lane_, j, turn_).vectorize(lane_);
      whole.unroll(j).update().reorder(reduction.lanes, j).unroll(j).atomic().vectorize(reduction.lanes);
    }
  }
  for (Func f : scalars_) f.compute_at(gradient, b).bound_extent(b, 1);
  for (Func f : kept_) {
    if (gpu_) continue;
    f.compute_at(gradient, b).hoist_storage(gradient, task).bound_extent(b, 1).vectorize(c, width_);
  }

  if (gpu_) {
    // One block for each number, whose threads take the rows in turn.
    loss.gpu_blocks(i);
    mean_.compute_at(loss, i);
    Func partial = mean_.update().split(every_, so, si, width_).rfactor(si, lane_);
    partial.compute_at(loss, i).gpu_threads(lane_).update().reorder(so, lane_).gpu_threads(lane_);
  } else {
    mean_.compute_root();
  }
}

}  // namespace retort::ops
