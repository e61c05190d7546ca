#include "retort/kd/evaluate.h"

#include <cmath>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/bincount.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/zeros.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "retort/data/io/status_macros.h"

namespace retort::kd {
namespace {

constexpr int64_t kBins = 15;

// Sums over the images so far of one model.
class Tally {
 public:
  Tally(int64_t classes, const char* whose)
      : classes_(classes),
        whose_(whose),
        confusion_(at::zeros({classes * classes}, at::kLong)),
        bin_images_(at::zeros({kBins}, at::kLong)),
        bin_correct_(at::zeros({kBins}, at::kDouble)),
        bin_confidence_(at::zeros({kBins}, at::kDouble)) {}

  // logits f64.
  absl::Status Add(const at::Tensor& logits, const at::Tensor& labels) {
    if (logits.dim() != 2 || logits.size(1) != classes_) {
      return absl::InvalidArgumentError(absl::StrCat("the ", whose_, "'s logits are [",
                                                     absl::StrJoin(logits.sizes(), ","), "], and the data set has ",
                                                     classes_, " classes"));
    }
    images_ += labels.size(0);
    loss_ += at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum).item<double>();
    if (!std::isfinite(loss_)) {
      return absl::DataLossError(absl::StrCat(
          "the ", whose_, "'s logits are NaN or infinite: it has diverged; train it with a lower learning_rate"));
    }
    const at::Tensor prediction = logits.argmax(1);
    confusion_ += at::bincount(labels * classes_ + prediction, {}, classes_ * classes_);
    const at::Tensor confidence = logits.softmax(1).amax(1);
    const at::Tensor bin = (confidence * kBins).ceil().to(at::kLong).sub(1).clamp(0, kBins - 1);
    bin_images_ += at::bincount(bin, {}, kBins);
    bin_confidence_.index_add_(0, bin, confidence);
    bin_correct_.index_add_(0, bin, prediction.eq(labels).to(at::kDouble));
    return absl::OkStatus();
  }

  Quality Result() const {
    const double images = static_cast<double>(images_);
    Quality quality;
    quality.accuracy = bin_correct_.sum().item<double>() / images;
    quality.loss = loss_ / images;
    quality.ece = (bin_correct_ - bin_confidence_).abs().sum().item<double>() / images;
    return quality;
  }

  std::vector<int64_t> Confusion() const {
    const int64_t* const counts = confusion_.const_data_ptr<int64_t>();
    return {counts, counts + confusion_.numel()};
  }

  std::vector<CalibrationBin> Calibration() const {
    std::vector<CalibrationBin> bins;
    for (int64_t m = 0; m < kBins; ++m) {
      bins.push_back({.images = bin_images_.const_data_ptr<int64_t>()[m],
                      .correct = std::llround(bin_correct_.const_data_ptr<double>()[m]),
                      .confidence = bin_confidence_.const_data_ptr<double>()[m]});
    }
    return bins;
  }

 private:
  const int64_t classes_;
  const char* const whose_;
  int64_t images_ = 0;
  double loss_ = 0;
  at::Tensor confusion_;                                  // [K K]
  at::Tensor bin_images_, bin_correct_, bin_confidence_;  // [kBins], sums
};

// Sums over the images so far of x' y, x and y less their first batch's means, which keeps digits where the means are
// large.
class Alignment {
 public:
  void Add(const at::Tensor& student, const at::Tensor& teacher) {
    const at::Tensor sides[] = {student.to(at::kDouble), teacher.to(at::kDouble)};
    for (int i = 0; i < 2; ++i) {
      if (!shift_[i].defined()) shift_[i] = sides[i].mean(0);
    }
    const at::Tensor x = sides[0] - shift_[0], y = sides[1] - shift_[1];
    images_ += static_cast<double>(x.size(0));
    Sum(x.sum(0), &sum_[0]);
    Sum(y.sum(0), &sum_[1]);
    Sum(at::mm(x.t(), x), &product_[0]);
    Sum(at::mm(y.t(), y), &product_[1]);
    Sum(at::mm(x.t(), y), &cross_);
  }

  double Result() const {
    const auto norm = [this](const at::Tensor& product, const at::Tensor& left, const at::Tensor& right) {
      return (product - left.unsqueeze(1) * right.unsqueeze(0) / images_).norm().item<double>();
    };
    const double cross = norm(cross_, sum_[0], sum_[1]);
    return cross * cross / (norm(product_[0], sum_[0], sum_[0]) * norm(product_[1], sum_[1], sum_[1]));
  }

 private:
  static void Sum(const at::Tensor& more, at::Tensor* sum) { *sum = sum->defined() ? *sum + more : more; }

  double images_ = 0;
  at::Tensor shift_[2], sum_[2];  // [D]
  at::Tensor product_[2];         // [D,D]
  at::Tensor cross_;              // [D_s,D_t]
};

struct Seen {
  nn::Outputs outputs;
  at::Tensor logits;  // f64
  at::Tensor labels;
};

absl::StatusOr<Seen> Look(const Beholder& beholder, absl::Span<const int64_t> index, int64_t view, bool embedding) {
  RETORT_ASSIGN_OR_RETURN(const data::Batch batch, beholder.batcher->Assemble(index, {view}));
  Seen seen;
  seen.outputs = beholder.model->Forward(batch.images.flatten(0, 1), {.embedding = embedding, .taps = {}});
  seen.logits = seen.outputs.logits.to(at::kDouble);
  seen.labels = batch.labels;
  return seen;
}

}  // namespace

absl::StatusOr<Evaluation> Evaluate(nn::Model& model, const data::Batcher& batcher, absl::Span<const int64_t> index,
                                    int64_t classes, int64_t batch_size, absl::optional<Beholder> teacher,
                                    int64_t view) {
  if (index.empty()) return absl::InvalidArgumentError("there is no image to evaluate on");
  if (batch_size < 1) return absl::InvalidArgumentError(absl::StrCat("batch_size is ", batch_size, "; give 1 or more"));
  const at::NoGradGuard no_grad;
  const auto set_training = [&](bool training) {
    model.SetTraining(training);
    if (teacher.has_value()) teacher->model->SetTraining(training);
  };
  set_training(false);
  const absl::Cleanup restore = [&] { set_training(true); };

  Tally own(classes, "model"), teachers(classes, "teacher");
  Alignment alignment;
  double agreement = 0, kl = 0;
  const auto images = static_cast<int64_t>(index.size());
  for (int64_t first = 0; first < images; first += batch_size) {
    const absl::Span<const int64_t> part = index.subspan(first, batch_size);
    RETORT_ASSIGN_OR_RETURN(const Seen student, Look({&model, &batcher}, part, view, teacher.has_value()));
    RETORT_RETURN_IF_ERROR(own.Add(student.logits, student.labels));
    if (!teacher.has_value()) continue;
    RETORT_ASSIGN_OR_RETURN(const Seen target, Look(*teacher, part, view, /*embedding=*/true));
    RETORT_RETURN_IF_ERROR(teachers.Add(target.logits, target.labels));
    agreement += target.logits.argmax(1).eq(student.logits.argmax(1)).sum().item<double>();
    const at::Tensor log_p = target.logits.log_softmax(1);
    kl += (log_p.exp() * (log_p - student.logits.log_softmax(1))).sum().item<double>();
    alignment.Add(student.outputs.embedding.flatten(1), target.outputs.embedding.flatten(1));
  }
  Evaluation result;
  static_cast<Quality&>(result) = own.Result();
  result.images = images;
  result.confusion = own.Confusion();
  result.calibration = own.Calibration();
  if (teacher.has_value()) {
    const double count = static_cast<double>(images);
    result.fidelity = Fidelity{teachers.Result(), agreement / count, kl / count, alignment.Result()};
  }
  return result;
}

}  // namespace retort::kd
