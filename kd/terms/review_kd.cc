#include "retort/kd/terms/review_kd.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/sigmoid.h"
#include "ATen/ops/upsample_nearest2d.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/embeddings.h"
#include "retort/kd/terms/hierarchical_loss.h"
#include "retort/kd/terms/layers.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class ReviewKd final : public Term {
 public:
  explicit ReviewKd(const config::ReviewKd& config) : config_(config) {}

  const char* name() const override { return "review_kd"; }

  Needs needs() const override {
    Needs needs = TapNeeds(config_.pair());
    needs.student.embedding = needs.targets.embedding = config_.embedding();
    return needs;
  }

  absl::Status Prepare(const Step& example, int64_t /*samples*/) override {
    RETORT_ASSIGN_OR_RETURN(const std::vector<FeatureMaps> maps, Inputs(example));
    levels_.clear();
    parts_ = Parts(maps[0].student.options());
    const int64_t middle = std::min<int64_t>(config_.most_channels(), maps.back().student.size(1));
    for (size_t i = 0; i < maps.size(); ++i) {
      const int64_t in = maps[i].student.size(1), out = maps[i].teacher.size(1);
      const auto part = [i](const char* layer) { return absl::StrCat(i, ".", layer); };
      levels_.push_back({Convolution({in, middle}, part("in"), &parts_),
                         BatchNorm(middle, part("in_norm"), &parts_),
                         Convolution({middle, out, 3, 3, 1, 1}, part("out"), &parts_),
                         BatchNorm(out, part("out_norm"), &parts_),
                         {}});
      if (i + 1 == maps.size()) continue;
      ConvolutionShape attention = {2 * middle, 2};
      attention.bias = true;
      levels_.back().attention.emplace(attention, part("attention"), &parts_);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_ASSIGN_OR_RETURN(const std::vector<FeatureMaps> maps, Inputs(step));
    if (levels_.size() != maps.size()) return absl::FailedPreconditionError("review_kd: Compute before Prepare");
    at::Tensor total, review;
    for (int i = static_cast<int>(maps.size()) - 1; i >= 0; --i) {
      const at::Tensor& x = maps[i].student;
      const at::Tensor& t = maps[i].teacher;
      if (x.numel() < 2 * x.size(1) || t.numel() < 2 * t.size(1)) {
        return TapFault(Names(i), maps[i], name(), "of two values a channel at least for batch norm");
      }
      const Level& level = levels_[i];
      const at::Tensor a = level.in_norm(level.in(x));
      if (level.attention) {
        const at::Tensor before = Resized(review, x);
        const at::Tensor z = at::sigmoid((*level.attention)(at::cat({a, before}, 1)));
        review = a * z.slice(1, 0, 1) + before * z.slice(1, 1, 2);
      } else {
        review = a;
      }
      review = Resized(review, t);
      const at::Tensor loss = HierarchicalContextLoss(level.out_norm(level.out(review)), t);
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

  std::vector<nn::NamedTensor> Parameters() const override { return parts_.parameters(); }
  std::vector<nn::NamedTensor> Buffers() const override { return parts_.buffers(); }

 private:
  struct Level {
    Convolution in;
    BatchNorm in_norm;
    Convolution out;
    BatchNorm out_norm;
    std::optional<Convolution> attention;  // not of the last level
  };

  // For errors.
  config::TapPair Names(int level) const {
    if (level < config_.pair_size()) return config_.pair(level);
    config::TapPair pair;
    pair.set_student("embedding");
    pair.set_teacher("embedding");
    return pair;
  }

  // `x` at the height and width of `like`.
  static at::Tensor Resized(const at::Tensor& x, const at::Tensor& like) {
    if (x.size(2) == like.size(2) && x.size(3) == like.size(3)) return x;
    return at::upsample_nearest2d(x, {like.size(2), like.size(3)});
  }

  absl::StatusOr<std::vector<FeatureMaps>> Inputs(const Step& step) const {
    std::vector<FeatureMaps> levels;
    for (const config::TapPair& pair : config_.pair()) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Maps(step, pair, name()));
      levels.push_back(maps);
    }
    if (config_.embedding()) {
      RETORT_RETURN_IF_ERROR(CheckEmbeddings(step, name()));
      const auto map = [](const at::Tensor& e) { return e.unsqueeze(2).unsqueeze(3); };
      levels.push_back({map(step.student.embedding), map(step.teacher.embedding)});
    }
    return levels;
  }

  const config::ReviewKd config_;
  Parts parts_;
  std::vector<Level> levels_;
};

}  // namespace

std::unique_ptr<Term> MakeReviewKd(const config::ReviewKd& config) { return std::make_unique<ReviewKd>(config); }

}  // namespace retort::kd
