#include "retort/pipelines/stages/cache_logits.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

#include "retort/data/batcher.h"
#include "retort/data/io/file_lock.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/philox.h"
#include "retort/kd/targets/deviation.h"
#include "retort/kd/targets/target_cache.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/kd/teacher.h"
#include "retort/pipelines/payload/stored_targets.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/progress/progress.h"
#include "retort/pipelines/stages/inputs.h"
#include "retort/pipelines/stages/teachers.h"

namespace retort::pipelines {
namespace {

// Between two looks at shards that other processes make.
constexpr absl::Duration kPatience = absl::Milliseconds(50);

// A view of every training image, as its teachers see it.
class TeachersView {
 public:
  static absl::StatusOr<std::unique_ptr<TeachersView>> Open(const StageContext& context) {
    const config::CacheLogits& config = context.stage->cache_logits();
    std::unique_ptr<TeachersView> view(new TeachersView());
    view->contents_ = config.store();
    view->request_ = kd::RequestFor(config.store());
    view->request_.logits = true;
    view->number_ = context.replicate;
    RETORT_ASSIGN_OR_RETURN(view->splits_, OpenInputDataset(context));
    RETORT_ASSIGN_OR_RETURN(const absl::optional<data::ViewPlan> views, OpenInputViews(context));
    view->mixed_ = views.has_value() && views->mix() != nullptr;
    RETORT_ASSIGN_OR_RETURN(std::vector<LoadedTeacher> teachers, LoadTeachers(context));
    for (auto& [trained, own] : teachers) {
      // Images as they are become what this teacher takes.
      const data::ViewPlan& shown = views.has_value() ? *views : trained.test_views;
      RETORT_ASSIGN_OR_RETURN(own, TeacherViews(trained, view->dataset(), shown));
      if (!own.has_value()) own = shown;
      if (!config.has_normalize()) continue;
      RETORT_ASSIGN_OR_RETURN(trained.normalization, ResolveNormalization(config.normalize(), view->dataset()));
    }
    RETORT_ASSIGN_OR_RETURN(view->teacher_,
                            RunTeachers(context, &view->splits_.train, std::move(teachers), config.teacher_weight()));
    RETORT_RETURN_IF_ERROR(view->teacher_->Check(view->request_));
    return view;
  }

  const data::Dataset& dataset() const { return splits_.train; }
  const config::StoredTargets& contents() const { return contents_; }
  int64_t number() const { return number_; }
  // Whether images have a second label, of which nothing is known here.
  bool mixed() const { return mixed_; }

  struct Seen {
    kd::Targets targets;
    at::Tensor labels;
  };
  absl::StatusOr<Seen> Look(const std::vector<int64_t>& index) {
    data::Batch batch;
    batch.index = at::tensor(index, at::kLong);
    batch.view = at::full({1, batch.index.size(0)}, number_, at::kLong);
    batch.labels = data::LabelsOf(dataset(), batch.index);
    RETORT_ASSIGN_OR_RETURN(kd::Targets targets, teacher_->Look(batch, request_));
    return Seen{std::move(targets), batch.labels};
  }

 private:
  TeachersView() = default;

  data::DatasetSplits splits_;
  config::StoredTargets contents_;
  kd::TargetRequest request_;
  int64_t number_ = 0;
  bool mixed_ = false;
  std::unique_ptr<kd::Teacher> teacher_;
};

class Filler {
 public:
  Filler(const StageContext& context, TeachersView* view)
      : context_(context),
        view_(view),
        progress_(context.stage->name(), view->dataset().size, "images",
                  context.pipeline->deployment().progress_seconds()) {}

  // Facts of all shards, in their order. Makes those that no other process makes, and waits for the others.
  absl::StatusOr<std::vector<kd::ShardFacts>> Fill() {
    const int64_t size = view_->contents().shard_size(), images = view_->dataset().size;
    std::vector<std::optional<kd::ShardFacts>> facts(static_cast<size_t>((images + size - 1) / size));
    while (true) {
      bool complete = true;
      for (size_t s = 0; s < facts.size(); ++s) {
        if (facts[s].has_value()) continue;
        const int64_t first = static_cast<int64_t>(s) * size;
        RETORT_ASSIGN_OR_RETURN(facts[s], Deliver(static_cast<int64_t>(s), {context_.key, view_->number(), first,
                                                                            std::min(size, images - first)}));
        complete &= facts[s].has_value();
      }
      if (complete) break;
      if (context_.stop_requested()) return absl::CancelledError("stopped");
      absl::SleepFor(kPatience);
    }
    progress_.Finish("");
    std::vector<kd::ShardFacts> all;
    for (std::optional<kd::ShardFacts>& shard : facts) all.push_back(*std::move(shard));
    return all;
  }

 private:
  // A shard found or made; nothing while another process makes it.
  absl::StatusOr<std::optional<kd::ShardFacts>> Deliver(int64_t shard, const kd::ShardPlace& place) {
    const std::string path = absl::StrCat(context_.work_dir, "/", ShardName(shard));
    absl::StatusOr<kd::ShardFacts> facts = kd::CheckShard(path, place);
    if (!facts.ok()) {
      const absl::StatusOr<std::unique_ptr<data::FileLock>> lock = data::FileLock::Try(path + ".lock");
      if (absl::IsUnavailable(lock.status())) return std::nullopt;
      RETORT_RETURN_IF_ERROR(lock.status());
      facts = kd::CheckShard(path, place);  // another process may have made it meanwhile
      if (!facts.ok()) return Make(path, place, facts.status());
    }
    Advance(place.count);
    return *std::move(facts);
  }

  // In the place of what `fault` says.
  absl::StatusOr<kd::ShardFacts> Make(const std::string& path, const kd::ShardPlace& place, const absl::Status& fault) {
    if (!absl::IsNotFound(fault)) std::cerr << "BAD   shard made again: " << fault.message() << "\n";
    kd::TargetShardBuilder builder(view_->contents(), place);
    for (int64_t from = place.first; from < place.first + place.count; from += kEvaluationBatch) {
      if (context_.stop_requested()) return absl::CancelledError("stopped");
      std::vector<int64_t> index(static_cast<size_t>(std::min(kEvaluationBatch, place.first + place.count - from)));
      std::iota(index.begin(), index.end(), from);
      RETORT_ASSIGN_OR_RETURN(const TeachersView::Seen seen, view_->Look(index));
      RETORT_RETURN_IF_ERROR(builder.Append(seen.targets, seen.labels));
      Advance(static_cast<int64_t>(index.size()));
    }
    RETORT_RETURN_IF_ERROR(builder.Write(path));
    return builder.facts();
  }

  void Advance(int64_t images) {
    done_ += images;
    progress_.Update(done_, "");
  }

  const StageContext& context_;
  TeachersView* const view_;
  Progress progress_;
  int64_t done_ = 0;
};

// "view 0: stored as FP16, mean KL(teacher || stored) 6.0e-08 at T = 1 and 3.1e-08 at T = 4, relative error of
// map.conv 2.1e-04"
std::string PrecisionLine(const TeachersView& view, const std::map<std::string, double>& metrics) {
  const config::StoredTargets& contents = view.contents();
  std::string line =
      absl::StrCat("view ", view.number(), ": stored as ", config::StoredTargets::Precision_Name(contents.precision()));
  if (contents.top_k() > 0) absl::StrAppend(&line, ", top ", contents.top_k());
  for (const auto& [name, value] : metrics) {
    if (name == "kl_1" || name == "kl_4") {
      absl::StrAppendFormat(&line, ", mean KL(teacher || stored) %.2g at T = %s", value, name.substr(3));
    } else {
      absl::StrAppendFormat(&line, ", relative error of %s %.2g", name.substr(6), value);
    }
  }
  return line;
}

// Between what is stored and what the teacher says.
struct Difference {
  double by = 0;
  int64_t image = 0;
};

}  // namespace

absl::StatusOr<StageOutput> RunCacheLogits(const StageContext& context) {
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<TeachersView> view, TeachersView::Open(context));
  RETORT_ASSIGN_OR_RETURN(const std::vector<kd::ShardFacts> facts, Filler(context, view.get()).Fill());

  // Of all shards in their order, whoever made them: the same sums whatever the number of processes.
  int64_t correct = 0, sampled = 0;
  std::map<std::string, double> errors;
  StageOutput output;
  for (size_t s = 0; s < facts.size(); ++s) {
    output.files.push_back(ShardName(static_cast<int64_t>(s)));
    correct += facts[s].correct;
    sampled += facts[s].sampled;
    if (view->contents().logits()) {
      errors["kl_1"] += facts[s].kl_1;
      errors["kl_4"] += facts[s].kl_4;
    }
    for (const auto& [name, error] : facts[s].error) errors["error." + name] += error;
  }
  const auto images = static_cast<double>(view->dataset().size);
  for (auto& [name, error] : errors) error /= static_cast<double>(sampled);
  std::cerr << PrecisionLine(*view, errors) << "\n";
  output.metrics = {{"samples", images}};
  if (!view->mixed()) {
    const double accuracy = static_cast<double>(correct) / images;
    const double chance = 1 / static_cast<double>(view->dataset().class_names.size());
    if (accuracy < 2 * chance) {
      std::cerr << absl::StreamFormat(
          "warning: the teacher is right about %.1f %% of these images; chance is %.1f %%\n", 100 * accuracy,
          100 * chance);
    }
    output.metrics.push_back({"teacher_accuracy", accuracy});
  }
  for (const auto& [name, error] : errors) output.metrics.push_back({name, error});
  return output;
}

absl::Status VerifyTargets(const StageContext& context, const StoredArtifact& artifact, int64_t records) {
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<TeachersView> view, TeachersView::Open(context));
  RETORT_ASSIGN_OR_RETURN(const kd::TargetCache::View stored, StoredView(artifact, view->number()));
  RETORT_ASSIGN_OR_RETURN(const kd::TargetCache cache, kd::TargetCache::Open({stored}));
  const kd::TargetRequest request = kd::RequestFor(view->contents());
  std::map<std::string, Difference> greatest;
  int64_t differing = 0;
  for (int64_t done = 0; done < records; done += kEvaluationBatch) {
    std::vector<int64_t> index(static_cast<size_t>(std::min(kEvaluationBatch, records - done)));
    for (size_t i = 0; i < index.size(); ++i) {
      const data::PhiloxBits bits =
          data::Philox(context.seed, static_cast<uint64_t>(done) + i, static_cast<uint32_t>(view->number()), /*c=*/0);
      index[i] = static_cast<int64_t>(data::UniformInt(bits[0], static_cast<uint64_t>(view->dataset().size)));
    }
    RETORT_ASSIGN_OR_RETURN(const TeachersView::Seen seen, view->Look(index));
    RETORT_RETURN_IF_ERROR(kd::Encode(view->contents(), seen.targets).status());  // a teacher that has diverged
    const at::Tensor images = at::tensor(index, at::kLong);
    RETORT_ASSIGN_OR_RETURN(kd::Targets kept, cache.Gather(at::zeros_like(images), images, request));
    at::Tensor differs = at::zeros({images.numel()}, at::kBool);
    for (const std::string& name : kd::TargetNames(request)) {
      const kd::Deviation deviation =
          kd::DeviationOf(view->contents(), name, kd::TargetOf(kept, name), seen.targets, seen.labels);
      const at::Tensor beyond = (deviation.by <= deviation.rounding).logical_not();  // of NaN too
      const at::Tensor difference = deviation.by.masked_fill(beyond.logical_not(), -1);
      const int64_t row = difference.argmax().item<int64_t>();
      const Difference here = {difference[row].item<double>(), index[static_cast<size_t>(row)]};
      if (!(here.by <= greatest[name].by)) greatest[name] = here;
      differs = differs.logical_or(beyond);
    }
    differing += differs.sum().item<int64_t>();
  }
  std::string line;
  for (const auto& [name, difference] : greatest) {
    if (difference.by == 0) continue;
    absl::StrAppendFormat(&line, ", %s by at most %.3g (image %d)", name, difference.by, difference.image);
  }
  const std::string report = absl::StrFormat(
      "view %d: %d of %d records differ from what the teacher says now by more than the rounding of %s and of its own "
      "sums%s",
      view->number(), differing, records, config::StoredTargets::Precision_Name(view->contents().precision()), line);
  std::cerr << report << "\n";
  if (differing == 0) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(report, "; remove the artifact ", artifact.folder, " (tools:store) to make them anew"));
}

}  // namespace retort::pipelines
