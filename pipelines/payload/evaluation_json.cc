#include "retort/pipelines/payload/evaluation_json.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"

namespace retort::pipelines {
namespace {

nlohmann::ordered_json QualityJson(const kd::Quality& quality) {
  return {{"accuracy", quality.accuracy}, {"loss", quality.loss}, {"ece", quality.ece}};
}

}  // namespace

std::vector<std::pair<std::string, double>> EvaluationMetrics(const kd::Evaluation& evaluation) {
  std::vector<std::pair<std::string, double>> metrics = {{"images", static_cast<double>(evaluation.images)},
                                                         {"accuracy", evaluation.accuracy},
                                                         {"loss", evaluation.loss},
                                                         {"ece", evaluation.ece}};
  if (evaluation.fidelity.has_value()) {
    const kd::Fidelity& fidelity = *evaluation.fidelity;
    metrics.emplace_back("agreement", fidelity.agreement);
    metrics.emplace_back("kl", fidelity.kl);
    if (std::isfinite(fidelity.cka)) metrics.emplace_back("cka", fidelity.cka);
    metrics.emplace_back("teacher_accuracy", fidelity.teacher.accuracy);
    metrics.emplace_back("teacher_loss", fidelity.teacher.loss);
    metrics.emplace_back("teacher_ece", fidelity.teacher.ece);
  }
  return metrics;
}

absl::Status WriteEvaluation(const std::string& path, const kd::Evaluation& evaluation,
                             const std::vector<std::string>& class_names) {
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  nlohmann::ordered_json confusion = nlohmann::ordered_json::array();
  const size_t count = class_names.size();
  for (size_t label = 0; label < count; ++label) {
    const auto row = evaluation.confusion.begin() + static_cast<int64_t>(label * count);
    const std::vector<int64_t> predictions(row, row + static_cast<int64_t>(count));
    int64_t images = 0;
    for (const int64_t prediction : predictions) images += prediction;
    classes.push_back({{"name", class_names[label]}, {"images", images}});
    // A class without images has no accuracy.
    if (images > 0) {
      classes.back()["accuracy"] = static_cast<double>(predictions[label]) / static_cast<double>(images);
    }
    confusion.push_back(predictions);
  }
  nlohmann::ordered_json json = {{"images", evaluation.images}};
  json.update(QualityJson(evaluation));
  if (evaluation.fidelity.has_value()) {
    json["fidelity"] = {{"agreement", evaluation.fidelity->agreement},
                        {"kl", evaluation.fidelity->kl},
                        {"cka", evaluation.fidelity->cka},
                        {"teacher", QualityJson(evaluation.fidelity->teacher)}};
  }
  json["classes"] = classes;
  json["confusion"] = confusion;
  json["calibration"] = nlohmann::ordered_json::array();
  for (const kd::CalibrationBin& bin : evaluation.calibration) {
    json["calibration"].push_back({{"images", bin.images}, {"correct", bin.correct}, {"confidence", bin.confidence}});
  }
  return data::WriteFileAtomically(path, json.dump(1) + "\n");
}

absl::StatusOr<EvaluationDetails> ReadEvaluation(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const std::string text, data::ReadFile(path));
  const absl::Status fault = absl::DataLossError(absl::StrCat(path, " is no evaluation with classes and confusion"));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("classes") || !json.contains("confusion")) return fault;
  const nlohmann::json& rows = json["confusion"];
  EvaluationDetails details;
  for (const nlohmann::json& one : json["classes"]) {
    if (!one.is_object() || !one.contains("name") || !one["name"].is_string()) return fault;
    details.class_names.push_back(one["name"]);
  }
  if (!rows.is_array() || rows.size() != details.class_names.size()) return fault;
  for (const nlohmann::json& row : rows) {
    if (!row.is_array() || row.size() != rows.size()) return fault;
    for (const nlohmann::json& images : row) {
      if (!images.is_number_integer()) return fault;
      details.confusion.push_back(images);
    }
  }
  for (const nlohmann::json& bin : json.value("calibration", nlohmann::json::array())) {
    for (const char* number : {"images", "correct", "confidence"}) {
      if (!bin.is_object() || !bin.contains(number) || !bin[number].is_number()) return fault;
    }
    details.calibration.push_back({bin["images"], bin["correct"], bin["confidence"]});
  }
  return details;
}

}  // namespace retort::pipelines
