// The softmax losses; what they compute is said in softmax_loss.h.
#include <memory>
#include <vector>

#include "Halide.h"

#include "retort/ops/losses/row_algorithm.h"

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using retort::ops::ExpLessOne;
using retort::ops::ExpOfNegative;
using retort::ops::kNever;
using retort::ops::LogOfPositive;
using retort::ops::OrZero;

// What the labels' part and the teacher's part are made of.
enum class Hard { kNone, kLabels, kTargets };
enum class Soft { kNone, kLogits, kTopK };

class SoftmaxLoss : public Halide::Generator<SoftmaxLoss> {
 public:
  GeneratorParam<Hard> hard{
      "hard", Hard::kNone, {{"none", Hard::kNone}, {"labels", Hard::kLabels}, {"targets", Hard::kTargets}}};
  GeneratorParam<Soft> soft{
      "soft", Soft::kNone, {{"none", Soft::kNone}, {"logits", Soft::kLogits}, {"top_k", Soft::kTopK}}};

  // Halide counts dimensions from the innermost: the reverse of how shapes are written.
  Input<Buffer<float, 2>> logits{"logits"};  // [B,K]

  void configure() {
    if (hard == Hard::kLabels) {
      labels = add_input<Buffer<int64_t, 1>>("labels");  // [B]
      smoothing = add_input<float>("label_smoothing");
    }
    if (hard == Hard::kTargets) targets = add_input<Buffer<float, 2>>("targets");  // [B,K]
    if (soft == Soft::kLogits) teacher = add_input<Buffer<float, 2>>("teacher");   // [B,K]
    if (soft == Soft::kTopK) {
      values = add_input<Buffer<float, 2>>("values");            // [B,k]
      indices = add_input<Buffer<int32_t, 2>>("indices");        // [B,k]
      log_sum_exp = add_input<Buffer<float, 1>>("log_sum_exp");  // [B]
    }
    if (soft != Soft::kNone) temperature = add_input<float>("temperature");
    if (both()) {
      hard_weight = add_input<float>("hard_weight");
      soft_weight = add_input<float>("soft_weight");
    }
    gradient = add_output<Buffer<float, 2>>("gradient");  // [B,K]
    rows = add_output<Buffer<float, 2>>("rows");          // [B,1], or [B,2] of both parts
    loss = add_output<Buffer<float, 1>>("loss");          // [1], or [3] of both parts
  }

  void generate() {
    const Expr classes = logits.dim(0).extent(), batch = logits.dim(1).extent();
    row = std::make_unique<retort::ops::RowLoss>(get_target(), batch, classes);
    const Var c = row->c, b = row->b;

    // Logits less the greatest of their row, so that no power of e overflows. Strict, since reordering the differences
    // would lose the digits of large logits.
    const Func student = row->Filled(logits, kNever);
    std::vector<Expr> of = {student(c, b)};
    Func taught;
    if (soft != Soft::kNone) {
      taught = soft == Soft::kLogits ? row->Filled(*teacher, kNever) : Unpacked();
      of.push_back(taught(c, b));
    }
    const Func greatest = row->Greatest(of);
    Func x("x"), y("y");
    x(c, b) = strict_float(student(c, b) - greatest(0, b));

    // Terms of the row's sums, by position.
    std::vector<Expr> terms;
    const auto add = [&](const Expr& term) { return terms.push_back(term), static_cast<int>(terms.size()) - 1; };
    int hard_sum = 0, hard_dot = 0, target_sum = 0, student_sum = 0, teacher_sum = 0, soft_dot = 0;
    Func hard_power("hard_power"), student_power("student_power"), teacher_power("teacher_power"), target;
    if (hard != Hard::kNone) {
      hard_power(c, b) = select(c < classes, ExpOfNegative(x(c, b)), 0.0f);
      row->Keep(hard_power);
      hard_sum = add(hard_power(c, b));
    }
    if (hard == Hard::kLabels) hard_dot = add(select(c < classes, x(c, b), 0.0f));
    if (hard == Hard::kTargets) {
      target = row->Filled(*targets, 0.0f);
      target_sum = add(target(c, b));
      hard_dot = add(OrZero(target(c, b), x(c, b)));
    }
    if (soft != Soft::kNone) {
      const Expr cooling = 1.0f / *temperature;
      y(c, b) = strict_float(taught(c, b) - greatest(1, b));
      student_power(c, b) = select(c < classes, ExpOfNegative(x(c, b) * cooling), 0.0f);
      teacher_power(c, b) = select(c < classes, ExpOfNegative(y(c, b) * cooling), 0.0f);
      row->Keep(student_power);
      row->Keep(teacher_power);
      student_sum = add(student_power(c, b));
      teacher_sum = add(teacher_power(c, b));
      soft_dot = add(OrZero(teacher_power(c, b), y(c, b) - x(c, b)));
    }
    const Func sum = row->Sum(terms);

    std::vector<Expr> parts, weights;
    Expr slope = 0.0f;
    if (hard != Hard::kNone) {
      const Expr weight = both() ? *hard_weight * row->Share() : row->Share();
      const Expr log_sum = LogOfPositive(sum(hard_sum, b));
      const Expr p = hard_power(c, b) * (weight / sum(hard_sum, b));
      if (hard == Hard::kLabels) {
        const Expr label = clamp(cast<int32_t>((*labels)(row->At(b))), 0, classes - 1);
        const Expr even = *smoothing / cast<float>(classes);
        parts.push_back(log_sum - (1.0f - *smoothing) * strict_float(logits(label, row->At(b)) - greatest(0, b)) -
                        OrZero(even, sum(hard_dot, b)));
        slope += p - weight * even - select(c == label, weight * (1.0f - *smoothing), 0.0f);
      } else {
        parts.push_back(sum(target_sum, b) * log_sum - sum(hard_dot, b));
        slope += p * sum(target_sum, b) - weight * target(c, b);
      }
      weights.push_back(weight);
    }
    if (soft != Soft::kNone) {
      const Expr weight = both() ? *soft_weight * row->Share() : row->Share();
      const Expr scale = weight * *temperature;
      parts.push_back(*temperature * sum(soft_dot, b) / sum(teacher_sum, b) +
                      *temperature * *temperature * LogOfPositive(sum(student_sum, b) / sum(teacher_sum, b)));
      slope +=
          student_power(c, b) * (scale / sum(student_sum, b)) - teacher_power(c, b) * (scale / sum(teacher_sum, b));
      weights.push_back(weight);
    }
    (*gradient)(c, b) = slope;
    row->Finish(*rows, parts, *loss, weights);
  }

  void schedule() {
    const Expr classes = logits.dim(0).extent(), batch = logits.dim(1).extent();
    logits.dim(0).set_min(0);
    logits.dim(1).set_min(0);
    for (auto* matrix : {targets, teacher}) {
      if (matrix != nullptr) matrix->dim(0).set_bounds(0, classes), matrix->dim(1).set_bounds(0, batch);
    }
    if (labels != nullptr) labels->dim(0).set_bounds(0, batch).set_stride(Expr());
    if (values != nullptr) {
      const Expr count = values->dim(0).extent();
      values->dim(0).set_min(0).set_stride(Expr());
      indices->dim(0).set_bounds(0, count).set_stride(Expr());
      values->dim(1).set_bounds(0, batch);
      indices->dim(1).set_bounds(0, batch);
      log_sum_exp->dim(0).set_bounds(0, batch).set_stride(Expr());
    }
    gradient->dim(0).set_bounds(0, classes);
    gradient->dim(1).set_bounds(0, batch);
    rows->dim(0).set_bounds(0, both() ? 2 : 1);
    rows->dim(1).set_bounds(0, batch);
    loss->dim(0).set_bounds(0, both() ? 3 : 1);
    row->Schedule(*gradient, *rows, *loss);
  }

 private:
  bool both() const { return hard != Hard::kNone && soft != Soft::kNone; }

  // The teacher's logits of which k are known, and the logarithm of the sum of all powers: the others share what is
  // left of the probability evenly.
  Func Unpacked() {
    const Var c = row->c, b = row->b;
    const Expr at = row->At(b), classes = logits.dim(0).extent(), count = values->dim(0).extent();
    Func sum("sum"), left("left"), rest("rest"), unpacked("unpacked"), filled("filled");
    const RDom k(0, count, "k");
    // 1 less the probabilities. What is left beside a class that has nearly all of it is the difference of two small
    // numbers, not of two large ones: such a class takes the whole 1, and gives back what it lacks.
    const Expr log_p = strict_float(min((*values)(k, at) - (*log_sum_exp)(at), 0.0f));
    const Expr is_most = strict_float(log_p > -0.34f);
    sum(b) = Halide::Tuple(1.0f, 0.0f);
    sum(b) = Halide::Tuple(sum(b)[0] - select(is_most, 1.0f, 0.0f),
                           sum(b)[1] + select(is_most, ExpLessOne(log_p), ExpOfNegative(log_p)));
    left(b) = strict_float(sum(b)[0] - sum(b)[1]);
    row->KeepScalar(sum);
    const Expr others = cast<float>(max(classes - count, 1));
    rest(b) = select(left(b) > 0.0f, (*log_sum_exp)(at) + log(max(left(b), 1e-30f) / others), kNever);
    row->KeepScalar(left);
    row->KeepScalar(rest);
    unpacked(c, b) = select(c < classes, rest(b), kNever);
    // On a GPU a row need not fit into shared memory: each thread looks its class up.
    const Expr index = clamp((*indices)(k, at), 0, classes - 1);
    if (get_target().has_gpu_feature()) {
      unpacked(c, b) = select(c == index, (*values)(k, at), unpacked(c, b));
    } else {
      unpacked(index, b) = (*values)(k, at);
    }
    unpacked.update().unscheduled();
    row->Keep(unpacked);
    return unpacked;
  }

  Input<Buffer<int64_t, 1>>* labels = nullptr;
  Input<float>* smoothing = nullptr;
  Input<Buffer<float, 2>>* targets = nullptr;
  Input<Buffer<float, 2>>* teacher = nullptr;
  Input<Buffer<float, 2>>* values = nullptr;
  Input<Buffer<int32_t, 2>>* indices = nullptr;
  Input<Buffer<float, 1>>* log_sum_exp = nullptr;
  Input<float>* temperature = nullptr;
  Input<float>* hard_weight = nullptr;
  Input<float>* soft_weight = nullptr;
  Output<Buffer<float, 2>>* gradient = nullptr;
  Output<Buffer<float, 2>>* rows = nullptr;
  Output<Buffer<float, 1>>* loss = nullptr;

  std::unique_ptr<retort::ops::RowLoss> row;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(SoftmaxLoss, softmax_loss)
