#include "retort/pipelines/payload/model_metadata.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "nlohmann/json.hpp"

namespace retort::pipelines {
namespace {

using ::nlohmann::json;

constexpr char kModel[] = "retort.model";
constexpr char kImageShape[] = "retort.image_shape";
constexpr char kClassNames[] = "retort.class_names";
constexpr char kMean[] = "retort.mean";
constexpr char kStd[] = "retort.std";
constexpr char kTestAugment[] = "retort.test_augment";

absl::Status Unreadable(const char* key, const std::string& value) {
  return absl::DataLossError(absl::StrCat("the metadata's ", key, " is not what it should be: ", value));
}

template <typename Values>
std::string Array(const Values& values) {
  json array = json::array();
  for (const auto& value : values) array.push_back(value);
  return array.dump();
}

bool IsArray(const json& value, bool (json::*is_element)() const noexcept) {
  if (!value.is_array()) return false;
  for (const json& element : value) {
    if (!(element.*is_element)()) return false;
  }
  return true;
}

}  // namespace

std::map<std::string, std::string> ModelMetadata(const config::TrainedModel& description) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string model;
  printer.PrintToString(description.model(), &model);
  std::map<std::string, std::string> metadata = {
      {kModel, model},
      {kImageShape, Array(std::vector<int>{description.channels(), description.height(), description.width()})},
      {kClassNames, Array(description.class_name())},
      {kMean, Array(description.normalize().mean())},
      {kStd, Array(description.normalize().std())},
  };
  if (description.test_augment_size() > 0) {
    config::TrainedModel steps;
    *steps.mutable_test_augment() = description.test_augment();
    printer.PrintToString(steps, &metadata[kTestAugment]);
  }
  return metadata;
}

absl::StatusOr<config::TrainedModel> ReadModelMetadata(const std::map<std::string, std::string>& metadata) {
  const auto model = metadata.find(kModel);
  if (model == metadata.end()) return absl::NotFoundError(absl::StrCat("the metadata has no ", kModel));
  config::TrainedModel description;
  google::protobuf::TextFormat::Parser parser;
  if (!parser.ParseFromString(model->second, description.mutable_model())) return Unreadable(kModel, model->second);
  if (const auto steps = metadata.find(kTestAugment); steps != metadata.end()) {
    config::TrainedModel read;
    if (!parser.ParseFromString(steps->second, &read)) return Unreadable(kTestAugment, steps->second);
    *description.mutable_test_augment() = read.test_augment();
  }
  for (const auto& [key, text] : metadata) {
    const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (key == kImageShape) {
      if (!IsArray(value, &json::is_number_unsigned) || value.size() != 3) return Unreadable(kImageShape, text);
      for (const json& size : value) {
        if (size.get<uint64_t>() > INT32_MAX) return Unreadable(kImageShape, text);
      }
      description.set_channels(value[0].get<int32_t>());
      description.set_height(value[1].get<int32_t>());
      description.set_width(value[2].get<int32_t>());
    } else if (key == kClassNames) {
      if (!IsArray(value, &json::is_string)) return Unreadable(kClassNames, text);
      for (const json& name : value) description.add_class_name(name.get<std::string>());
    } else if (key == kMean) {
      if (!IsArray(value, &json::is_number)) return Unreadable(kMean, text);
      for (const json& mean : value) description.mutable_normalize()->add_mean(mean.get<double>());
    } else if (key == kStd) {
      if (!IsArray(value, &json::is_number)) return Unreadable(kStd, text);
      for (const json& std : value) description.mutable_normalize()->add_std(std.get<double>());
    }
  }
  return description;
}

}  // namespace retort::pipelines
