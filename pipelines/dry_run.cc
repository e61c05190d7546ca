#include "retort/pipelines/dry_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "retort/data/batcher.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/sources/read_source.h"
#include "retort/kd/objective.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/kd/teacher.h"
#include "retort/nn/build_model.h"
#include "retort/nn/initial_weights.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/program/without_exceptions.h"
#include "retort/pipelines/stage.h"

namespace retort::pipelines {
namespace {

std::string Megabytes(double bytes) { return absl::StrFormat("%.1f MB", bytes / 1e6); }

std::string Shape(const at::Tensor& tensor) { return absl::StrCat("[", absl::StrJoin(tensor.sizes(), ","), "]"); }

class Rehearsal {
 public:
  Rehearsal(const Plan& plan, std::string data_dir, std::ostream& out)
      : plan_(plan), data_dir_(std::move(data_dir)), out_(out) {}

  absl::Status Rehearse(size_t i) {
    const PlannedStage& stage = plan_.stages[i];
    out_ << absl::StreamFormat("%-12s  %s\n", KindName(stage.config->kind_case()), stage.name);
    switch (stage.config->kind_case()) {
      case config::Stage::kIngest:
        return Ingest(i);
      case config::Stage::kFinetune: {
        const config::Finetune& config = stage.config->finetune();
        return Train(stage, config.model(), config.objective(), config.train());
      }
      case config::Stage::kDistill: {
        const config::Distill& config = stage.config->distill();
        return Train(stage, config.model(), config.objective(), config.train());
      }
      case config::Stage::kCacheLogits:
        return CacheLogits(stage);
      case config::Stage::kAugment:
      case config::Stage::kEvaluate:
      case config::Stage::kExport:
      case config::Stage::kReport:
      case config::Stage::KIND_NOT_SET:
        break;
    }
    return absl::OkStatus();
  }

 private:
  static const PlannedStage::Input* Find(const PlannedStage& stage, absl::string_view role) {
    for (const PlannedStage::Input& input : stage.inputs) {
      if (input.role == role) return &input;
    }
    return nullptr;
  }

  const data::Dataset& TrainSplit(const PlannedStage& stage) { return datasets_.at(Find(stage, "data")->stage).train; }

  absl::Status Ingest(size_t i) {
    RETORT_ASSIGN_OR_RETURN(data::DatasetSplits splits, data::ReadSource(plan_.stages[i].config->ingest(), data_dir_));
    out_ << absl::StreamFormat("    %d training and %d test images, %dx%dx%d, %d classes; %s on disk and in memory\n",
                               splits.train.size, splits.test.size, splits.train.height, splits.train.width,
                               splits.train.channels, splits.train.class_names.size(),
                               Megabytes(static_cast<double>(splits.train.images.size() + splits.test.images.size())));
    datasets_.emplace(i, std::move(splits));
    return absl::OkStatus();
  }

  // A model of views that are made by `training`'s test_augment.
  absl::StatusOr<std::unique_ptr<nn::Model>> Build(const config::Model& config, const config::Training& training,
                                                   const data::Dataset& dataset) {
    RETORT_ASSIGN_OR_RETURN(const data::ViewPlan views, TestViews(training.test_augment()));
    return nn::BuildModel(config, ShapeOf(dataset, views), /*seed=*/0, /*channels_last=*/true);
  }

  // The model that stage `i` trains, and how.
  const config::Model& ModelOf(size_t i) const {
    const config::Stage& stage = *plan_.stages[i].config;
    return stage.has_finetune() ? stage.finetune().model() : stage.distill().model();
  }
  const config::Training& TrainingOf(size_t i) const {
    const config::Stage& stage = *plan_.stages[i].config;
    return stage.has_finetune() ? stage.finetune().train() : stage.distill().train();
  }

  absl::StatusOr<data::Batch> OneBatch(const data::Dataset& dataset, const config::Training& training, int64_t size) {
    RETORT_ASSIGN_OR_RETURN(const data::ViewPlan plan, TestViews(training.test_augment()));
    RETORT_ASSIGN_OR_RETURN(const data::Batcher batcher,
                            data::Batcher::Create(&dataset, plan, data::ComputeChannelStatistics(dataset),
                                                  data::Batcher::Layout::kChannelsLast));
    std::vector<int64_t> index;
    for (int64_t i = 0; i < std::min(size, dataset.size); ++i) index.push_back(i);
    return batcher.Assemble(index, {0});
  }

  absl::Status Train(const PlannedStage& stage, const config::Model& config, const config::Objective& objective_config,
                     const config::Training& training) {
    const data::Dataset& dataset = TrainSplit(stage);
    RETORT_RETURN_IF_ERROR(ResolveNormalization(training.normalize(), dataset).status());
    RETORT_ASSIGN_OR_RETURN(kd::Objective objective, kd::Objective::Create(objective_config));
    RETORT_ASSIGN_OR_RETURN(std::unique_ptr<nn::Model> model, Build(config, training, dataset));
    RETORT_ASSIGN_OR_RETURN(const data::Batch batch, OneBatch(dataset, training, training.batch_size()));
    const at::Tensor images = batch.images.flatten(0, 1);

    if (const config::InitialWeights* weights = InitialWeightsOf(*stage.config); weights != nullptr) {
      RETORT_ASSIGN_OR_RETURN(const nn::LoadReport report,
                              nn::LoadInitialWeights(*weights, stage.weights_sha256, model.get()));
      out_ << "    initial weights  " << weights->path() << "\n";
      for (const std::string& line : report.Lines()) out_ << "        " << line << "\n";
    }
    const double parameters = static_cast<double>(nn::CountParameters(*model));
    const nn::Outputs everything = model->Forward(images, {.embedding = true, .taps = model->TapNames()});
    out_ << absl::StreamFormat(
        "    %d parameters; %s of weights on disk, %s of weights, gradients and moments in memory\n",
        static_cast<int64_t>(parameters), Megabytes(4 * parameters), Megabytes(16 * parameters));
    for (const std::string& tap : model->TapNames()) {
      out_ << absl::StreamFormat("    tap %-12s %s\n", tap, Shape(everything.taps.at(tap)));
    }
    out_ << "    embedding        " << Shape(everything.embedding) << "\n";

    kd::Step step;
    RETORT_RETURN_IF_ERROR(nn::CheckRequest(*model, objective.needs().student, "student"));
    if (objective.needs().student_image_gradient) images.set_requires_grad(true);
    step.student = model->Forward(images, objective.needs().student);
    step.images = images;
    step.labels = batch.labels;
    step.index = batch.index;
    if (objective.needs().teacher()) {
      const size_t from = TeacherOf(stage);
      RETORT_ASSIGN_OR_RETURN(std::unique_ptr<nn::Model> teacher_model,
                              Build(ModelOf(from), TrainingOf(from), dataset));
      RETORT_ASSIGN_OR_RETURN(const data::Batch seen, OneBatch(dataset, TrainingOf(from), training.batch_size()));
      kd::LiveTeacher teacher(std::move(teacher_model));
      RETORT_RETURN_IF_ERROR(teacher.Check(objective.needs().targets));
      RETORT_ASSIGN_OR_RETURN(step.teacher, teacher.Look(seen, objective.needs().targets));
    }
    RETORT_RETURN_IF_ERROR(objective.Prepare(step, dataset.size));
    RETORT_RETURN_IF_ERROR(objective.Compute(step).status());
    out_ << "    objective        " << absl::StrJoin(objective.names(), " + ") << "\n";
    return absl::OkStatus();
  }

  // Whose outputs a student sees, through a cache or directly.
  size_t TeacherOf(const PlannedStage& stage) const {
    if (const PlannedStage::Input* targets = Find(stage, "targets"); targets != nullptr) {
      return Find(plan_.stages[targets->stage], "teacher")->stage;
    }
    return Find(stage, "teacher")->stage;
  }

  absl::Status CacheLogits(const PlannedStage& stage) {
    const data::Dataset& dataset = TrainSplit(stage);
    const config::CacheLogits& config = stage.config->cache_logits();
    const size_t from = TeacherOf(stage);
    RETORT_ASSIGN_OR_RETURN(std::unique_ptr<nn::Model> model, Build(ModelOf(from), TrainingOf(from), dataset));
    RETORT_ASSIGN_OR_RETURN(const data::Batch batch, OneBatch(dataset, TrainingOf(from), 1));
    kd::LiveTeacher teacher(std::move(model));
    const kd::TargetRequest request = kd::RequestFor(config.store());
    RETORT_RETURN_IF_ERROR(teacher.Check(request));
    RETORT_ASSIGN_OR_RETURN(const kd::Targets targets, teacher.Look(batch, request));
    RETORT_ASSIGN_OR_RETURN(const auto rows, kd::Encode(config.store(), targets));
    int64_t bytes = 0;
    for (const auto& [name, row] : rows) {
      out_ << absl::StreamFormat("    %-24s %s\n", name, Shape(row));
      bytes += static_cast<int64_t>(row.nbytes());
    }
    int64_t views = 1;
    if (const PlannedStage::Input* input = Find(stage, "views"); input != nullptr) {
      views = plan_.stages[input->stage].config->augment().count();
    }
    out_ << absl::StreamFormat("    %d views x %d images x %d bytes: %s on disk\n", views, dataset.size, bytes,
                               Megabytes(static_cast<double>(views * dataset.size * bytes)));
    return absl::OkStatus();
  }

  const Plan& plan_;
  const std::string data_dir_;
  std::ostream& out_;
  std::map<size_t, data::DatasetSplits> datasets_;
};

}  // namespace

absl::Status DryRun(const Plan& plan, const std::vector<size_t>& goals, const std::string& data_dir,
                    std::ostream& out) {
  Rehearsal rehearsal(plan, data_dir, out);
  for (const size_t i : WithInputs(plan, goals)) {
    // Replicates differ only in their seed.
    if (plan.stages[i].replicate > 0) continue;
    const absl::Status status = WithoutExceptions([&] { return rehearsal.Rehearse(i); });
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("stage \"", plan.stages[i].name, "\": ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace retort::pipelines
