// Decoupled knowledge distillation; what it computes is said in softmax_loss.h.
#include <memory>

#include "Halide.h"

#include "retort/ops/losses/row_algorithm.h"

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;
using retort::ops::ExpOfNegative;
using retort::ops::kNever;
using retort::ops::LogOfPositive;
using retort::ops::OrZero;

class Dkd : public Halide::Generator<Dkd> {
 public:
  // Halide counts dimensions from the innermost: the reverse of how shapes are written.
  Input<Buffer<float, 2>> logits{"logits"};    // [B,K]
  Input<Buffer<float, 2>> teacher{"teacher"};  // [B,K]
  Input<Buffer<int64_t, 1>> labels{"labels"};  // [B]
  Input<float> temperature{"temperature"};
  Input<float> alpha{"alpha"};
  Input<float> beta{"beta"};
  Output<Buffer<float, 2>> gradient{"gradient"};  // [B,K]
  Output<Buffer<float, 2>> rows{"rows"};          // [B,2]
  Output<Buffer<float, 1>> loss{"loss"};          // [3]

  void generate() {
    const Expr classes = logits.dim(0).extent(), batch = logits.dim(1).extent();
    row = std::make_unique<retort::ops::RowLoss>(get_target(), batch, classes);
    const Var c = row->c, b = row->b;
    const Expr at = row->At(b);
    const Expr label = clamp(cast<int32_t>(labels(at)), 0, classes - 1);
    const Expr other = c != label && c < classes;

    // The distributions over the other classes.
    const Func student = row->Filled(logits, kNever), taught = row->Filled(teacher, kNever);
    const Func greatest = row->Greatest({select(other, student(c, b), kNever), select(other, taught(c, b), kNever)});
    const Expr cooling = 1.0f / temperature;
    // Strict, since reordering the differences would lose the digits of large logits.
    const Expr x = strict_float(student(c, b) - greatest(0, b)), y = strict_float(taught(c, b) - greatest(1, b));
    Func student_power("student_power"), teacher_power("teacher_power");
    student_power(c, b) = select(other, ExpOfNegative(x * cooling), 0.0f);
    teacher_power(c, b) = select(other, ExpOfNegative(y * cooling), 0.0f);
    row->Keep(student_power);
    row->Keep(teacher_power);
    const Func sum = row->Sum({student_power(c, b), teacher_power(c, b), OrZero(teacher_power(c, b), y - x)});

    // The label against all others: log odds, log p of the label, and how far the student is off.
    Func student_odds("student_odds"), teacher_odds("teacher_odds"), excess("excess");
    student_odds(b) = strict_float(logits(label, at) - greatest(0, b)) * cooling - LogOfPositive(sum(0, b));
    teacher_odds(b) = strict_float(teacher(label, at) - greatest(1, b)) * cooling - LogOfPositive(sum(1, b));
    const auto log_p = [](const Expr& odds) {
      return min(odds, 0.0f) - LogOfPositive(1.0f + ExpOfNegative(-abs(odds)));
    };
    excess(b) = ExpOfNegative(log_p(student_odds(b))) - ExpOfNegative(log_p(teacher_odds(b)));
    for (const Func& f : {student_odds, teacher_odds, excess}) row->KeepScalar(f);

    const Expr square = temperature * temperature;
    // p log(p / q) for the label, with these odds, and for all others, with the opposite ones.
    const auto divergence = [&](const Expr& teacher_of, const Expr& student_of) {
      return OrZero(ExpOfNegative(log_p(teacher_of)), log_p(teacher_of) - log_p(student_of));
    };
    const Expr of_label =
        square * (divergence(teacher_odds(b), student_odds(b)) + divergence(-teacher_odds(b), -student_odds(b)));
    const Expr of_others = temperature * sum(2, b) / sum(1, b) + square * LogOfPositive(sum(0, b) / sum(1, b));

    const Expr scale = row->Share() * temperature;
    gradient(c, b) = student_power(c, b) * (scale * (beta - alpha * excess(b)) / sum(0, b)) -
                     teacher_power(c, b) * (scale * beta / sum(1, b)) +
                     select(c == label, scale * alpha * excess(b), 0.0f);
    row->Finish(rows, {of_label, of_others}, loss, {alpha * row->Share(), beta * row->Share()});
  }

  void schedule() {
    const Expr classes = logits.dim(0).extent(), batch = logits.dim(1).extent();
    logits.dim(0).set_min(0);
    logits.dim(1).set_min(0);
    teacher.dim(0).set_bounds(0, classes);
    teacher.dim(1).set_bounds(0, batch);
    labels.dim(0).set_bounds(0, batch).set_stride(Expr());
    gradient.dim(0).set_bounds(0, classes);
    gradient.dim(1).set_bounds(0, batch);
    rows.dim(0).set_bounds(0, 2);
    rows.dim(1).set_bounds(0, batch);
    loss.dim(0).set_bounds(0, 3);
    row->Schedule(gradient, rows, loss);
  }

 private:
  std::unique_ptr<retort::ops::RowLoss> row;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(Dkd, dkd)
