#include "retort/pipelines/payload/evaluation_json.h"

#include <cstdint>

#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"

namespace retort::pipelines {

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
  const nlohmann::ordered_json json = {{"images", evaluation.images},
                                       {"accuracy", evaluation.accuracy},
                                       {"loss", evaluation.loss},
                                       {"classes", classes},
                                       {"confusion", confusion}};
  return data::WriteFileAtomically(path, json.dump(1) + "\n");
}

}  // namespace retort::pipelines
