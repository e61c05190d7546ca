#include "retort/pipelines/payload/trained_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/weights.h"

namespace retort::pipelines {
namespace {

constexpr char kWeights[] = "model.safetensors";
constexpr char kDescription[] = "model.textproto";

std::string Describe(const nn::ModelShape& shape) {
  return absl::StrCat(shape.channels, "x", shape.height, "x", shape.width, " and ", shape.classes, " classes");
}

}  // namespace

absl::StatusOr<data::ChannelStatistics> ResolveNormalization(const config::Normalization& config,
                                                             const data::Dataset& dataset) {
  if (config.mean_size() == 0 && config.std_size() == 0) return data::ComputeChannelStatistics(dataset);
  if (config.mean_size() != dataset.channels || config.std_size() != dataset.channels) {
    return absl::InvalidArgumentError(absl::StrCat("normalize has ", config.mean_size(), " mean and ",
                                                   config.std_size(), " std, the images have ", dataset.channels,
                                                   " channels; give one of each a channel, or leave normalize out"));
  }
  return data::ChannelStatistics{{config.mean().begin(), config.mean().end()},
                                 {config.std().begin(), config.std().end()}};
}

absl::StatusOr<data::ViewPlan> TestViews(const google::protobuf::RepeatedPtrField<config::AugmentStep>& test_augment) {
  return data::ViewPlan::Create(test_augment, /*seed=*/0);
}

nn::ModelShape ShapeOf(const data::Dataset& dataset, const data::ViewPlan& views) {
  const data::ViewPlan::Size size = views.SizeOf({dataset.height, dataset.width});
  return {.channels = dataset.channels,
          .height = size.height,
          .width = size.width,
          .classes = static_cast<int64_t>(dataset.class_names.size())};
}

absl::Status SaveTrainedModel(const std::string& folder, const nn::Model& model, const config::Model& config,
                              const data::Dataset& dataset, const data::ChannelStatistics& normalization,
                              const config::Training& train) {
  RETORT_ASSIGN_OR_RETURN(const data::ViewPlan views, TestViews(train.test_augment()));
  const nn::ModelShape shape = ShapeOf(dataset, views);
  config::TrainedModel description;
  *description.mutable_test_augment() = train.test_augment();
  *description.mutable_model() = config;
  description.set_channels(static_cast<int32_t>(shape.channels));
  description.set_height(static_cast<int32_t>(shape.height));
  description.set_width(static_cast<int32_t>(shape.width));
  for (const std::string& name : dataset.class_names) description.add_class_name(name);
  for (const double mean : normalization.mean) description.mutable_normalize()->add_mean(mean);
  for (const double std : normalization.std) description.mutable_normalize()->add_std(std);
  std::string text;
  google::protobuf::TextFormat::PrintToString(description, &text);
  RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(folder, "/", kDescription), text));
  return nn::SaveModel(absl::StrCat(folder, "/", kWeights), model, {});
}

absl::StatusOr<TrainedModel> LoadTrainedModel(const StoredArtifact& artifact, bool channels_last) {
  RETORT_ASSIGN_OR_RETURN(const std::string text, data::ReadFile(artifact.File(kDescription)));
  config::TrainedModel description;
  if (!google::protobuf::TextFormat::ParseFromString(text, &description)) {
    return absl::DataLossError(absl::StrCat(artifact.File(kDescription), " is no description of a model"));
  }
  TrainedModel trained;
  trained.shape = {.channels = description.channels(),
                   .height = description.height(),
                   .width = description.width(),
                   .classes = description.class_name_size()};
  trained.class_names = {description.class_name().begin(), description.class_name().end()};
  trained.normalization = {{description.normalize().mean().begin(), description.normalize().mean().end()},
                           {description.normalize().std().begin(), description.normalize().std().end()}};
  RETORT_ASSIGN_OR_RETURN(trained.test_views, TestViews(description.test_augment()));
  RETORT_ASSIGN_OR_RETURN(trained.model, nn::BuildModel(description.model(), trained.shape, /*seed=*/0, channels_last));
  RETORT_RETURN_IF_ERROR(nn::LoadModel(artifact.File(kWeights), trained.model.get()));
  trained.description = std::move(description);
  return trained;
}

absl::Status CheckFits(const TrainedModel& model, const data::Dataset& dataset, const data::ViewPlan& views) {
  const nn::ModelShape shape = ShapeOf(dataset, views);
  if (shape.channels != model.shape.channels || shape.height != model.shape.height ||
      shape.width != model.shape.width || shape.classes != model.shape.classes) {
    return absl::InvalidArgumentError(absl::StrCat("the model takes ", Describe(model.shape), ", the data set has ",
                                                   Describe(shape), "; use a model that was trained on such data"));
  }
  for (size_t i = 0; i < model.class_names.size(); ++i) {
    if (model.class_names[i] == dataset.class_names[i]) continue;
    return absl::InvalidArgumentError(absl::StrCat("class ", i, " of the model is \"", model.class_names[i],
                                                   "\", of the data set \"", dataset.class_names[i],
                                                   "\"; use a model that was trained on these classes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::optional<data::ViewPlan>> TeacherViews(const TrainedModel& teacher, const data::Dataset& dataset,
                                                            const data::ViewPlan& views) {
  const data::ViewPlan::Size size = views.SizeOf({dataset.height, dataset.width});
  const bool as_they_are = size.height == teacher.shape.height && size.width == teacher.shape.width;
  absl::optional<data::ViewPlan> own;
  if (!as_they_are && teacher.shape.height == teacher.shape.width) {
    absl::StatusOr<data::ViewPlan> resized = views.Resized(static_cast<int>(teacher.shape.height));
    if (!resized.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("the teacher takes ", Describe(teacher.shape),
                                                     ", the views are of ", Describe(ShapeOf(dataset, views)), ", and ",
                                                     resized.status().message()));
    }
    own = *std::move(resized);
  }
  RETORT_RETURN_IF_ERROR(CheckFits(teacher, dataset, own.value_or(views)));
  return own;
}

}  // namespace retort::pipelines
