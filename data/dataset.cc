#include "retort/data/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/safetensors.h"
#include "retort/data/io/status_macros.h"

namespace retort::data {
namespace {

struct OwnedVectors {
  std::vector<uint8_t> images;
  std::vector<int64_t> labels;
};

// Whether the fields of `dataset` fit each other; `size`, extents and class names are trusted to be what was meant.
absl::Status Check(const Dataset& dataset) {
  int64_t bytes = dataset.size;
  for (const int64_t extent : {dataset.height, dataset.width, dataset.channels}) {
    if (extent <= 0 || __builtin_mul_overflow(bytes, extent, &bytes)) {
      return absl::InvalidArgumentError(absl::StrCat("images of ", dataset.height, "x", dataset.width, "x",
                                                     dataset.channels, ": every extent must be positive, and all fit"));
    }
  }
  if (static_cast<size_t>(bytes) != dataset.images.size()) {
    return absl::InvalidArgumentError(absl::StrCat(dataset.size, " images of ", dataset.height, "x", dataset.width, "x",
                                                   dataset.channels, " need ", bytes, " bytes, but there are ",
                                                   dataset.images.size()));
  }
  const int64_t classes = static_cast<int64_t>(dataset.class_names.size());
  for (int64_t i = 0; i < dataset.size; ++i) {
    if (dataset.labels[i] < 0 || dataset.labels[i] >= classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("label ", dataset.labels[i], " of image ", i, " is not in [0, ", classes, ")"));
    }
  }
  return absl::OkStatus();
}

absl::Span<const uint8_t> Bytes(absl::Span<const int64_t> labels) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(labels.data()), labels.size() * sizeof(int64_t));
}

// The data set of tensors <split>_images, <split>_labels.
absl::StatusOr<Dataset> ReadSplit(const SafetensorsFile& file, absl::string_view split,
                                  const std::vector<std::string>& class_names) {
  RETORT_ASSIGN_OR_RETURN(const TensorView images, file.Find(absl::StrCat(split, "_images")));
  RETORT_ASSIGN_OR_RETURN(const TensorView labels, file.Find(absl::StrCat(split, "_labels")));
  if (images.dtype != DType::kU8 || images.shape.size() != 4 || labels.dtype != DType::kI64 ||
      labels.shape != std::vector<int64_t>{images.shape[0]} ||
      reinterpret_cast<uintptr_t>(labels.bytes.data()) % alignof(int64_t) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(split, " must be U8 [N,H,W,C] images and aligned I64 [N] labels"));
  }
  Dataset dataset;
  dataset.storage = file.storage();
  dataset.images = images.bytes;
  dataset.labels =
      absl::MakeConstSpan(reinterpret_cast<const int64_t*>(labels.bytes.data()), labels.bytes.size() / sizeof(int64_t));
  dataset.size = images.shape[0];
  dataset.height = images.shape[1];
  dataset.width = images.shape[2];
  dataset.channels = images.shape[3];
  dataset.class_names = class_names;
  RETORT_RETURN_IF_ERROR(Check(dataset));
  return dataset;
}

absl::StatusOr<DatasetSplits> ReadSplits(const SafetensorsFile& file) {
  RETORT_RETURN_IF_ERROR(file.VerifyOwn());
  const std::map<std::string, std::string>& metadata = file.metadata();
  const auto name = metadata.find("name");
  const auto class_names = metadata.find("class_names");
  if (name == metadata.end() || class_names == metadata.end()) {
    return absl::InvalidArgumentError("metadata must have name and class_names");
  }
  const auto parsed = nlohmann::json::parse(class_names->second, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_array() || !std::all_of(parsed.begin(), parsed.end(), [](const auto& x) { return x.is_string(); })) {
    return absl::InvalidArgumentError("class_names must be a list of strings");
  }
  DatasetSplits splits;
  splits.name = name->second;
  RETORT_ASSIGN_OR_RETURN(splits.train, ReadSplit(file, "train", parsed.get<std::vector<std::string>>()));
  RETORT_ASSIGN_OR_RETURN(splits.test, ReadSplit(file, "test", splits.train.class_names));
  return splits;
}

}  // namespace

absl::StatusOr<Dataset> MakeDataset(std::vector<uint8_t> images, std::vector<int64_t> labels, int64_t height,
                                    int64_t width, int64_t channels, std::vector<std::string> class_names) {
  const auto owned = std::make_shared<const OwnedVectors>(OwnedVectors{std::move(images), std::move(labels)});
  Dataset dataset;
  dataset.storage = owned;
  dataset.images = owned->images;
  dataset.labels = owned->labels;
  dataset.size = static_cast<int64_t>(owned->labels.size());
  dataset.height = height;
  dataset.width = width;
  dataset.channels = channels;
  dataset.class_names = std::move(class_names);
  RETORT_RETURN_IF_ERROR(Check(dataset));
  return dataset;
}

absl::Status WriteDataset(const std::string& path, const DatasetSplits& splits) {
  if (splits.train.class_names != splits.test.class_names) {
    return absl::InvalidArgumentError(absl::StrCat("write ", path, ": train and test differ in their class names"));
  }
  std::vector<TensorView> tensors;
  const auto add = [&tensors](absl::string_view split, const Dataset& dataset) {
    tensors.push_back({absl::StrCat(split, "_images"),
                       DType::kU8,
                       {dataset.size, dataset.height, dataset.width, dataset.channels},
                       dataset.images});
    tensors.push_back({absl::StrCat(split, "_labels"), DType::kI64, {dataset.size}, Bytes(dataset.labels)});
  };
  add("train", splits.train);
  add("test", splits.test);
  return WriteSafetensors(path, tensors,
                          {{"name", splits.name}, {"class_names", nlohmann::json(splits.train.class_names).dump()}});
}

absl::StatusOr<DatasetSplits> OpenDataset(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
  absl::StatusOr<DatasetSplits> splits = ReadSplits(file);
  if (splits.ok()) return splits;
  return absl::DataLossError(absl::StrCat(path, " is not a sound data set: ", splits.status().message()));
}

ChannelStatistics ComputeChannelStatistics(const Dataset& dataset) {
  // Counts are exact, so the result does not depend on the order of the images.
  std::vector<std::array<int64_t, 256>> histogram(static_cast<size_t>(dataset.channels));
  for (size_t i = 0; i < dataset.images.size();) {
    for (auto& counts : histogram) ++counts[dataset.images[i++]];
  }
  const double pixels = static_cast<double>(std::max<int64_t>(1, dataset.size * dataset.height * dataset.width));
  ChannelStatistics statistics;
  for (const auto& counts : histogram) {
    double mean = 0;
    for (size_t value = 0; value < 256; ++value) {
      mean += static_cast<double>(counts[value]) / pixels * static_cast<double>(value);
    }
    double variance = 0;
    for (size_t value = 0; value < 256; ++value) {
      const double difference = static_cast<double>(value) - mean;
      variance += static_cast<double>(counts[value]) / pixels * difference * difference;
    }
    statistics.mean.push_back(mean / 255);
    statistics.std.push_back(std::sqrt(variance) / 255);
  }
  return statistics;
}

}  // namespace retort::data
