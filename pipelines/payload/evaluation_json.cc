#include "retort/pipelines/payload/evaluation_json.h"

#include <cmath>
#include <cstdint>

#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"

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
  return data::WriteFileAtomically(path, json.dump(1) + "\n");
}

}  // namespace retort::pipelines
