// Labelled images that lie in memory as one block.
//
// Dimension letters, project-wide: B batch, V views, N samples, C channels, H height, W width, K classes, D width of
// the pooled embedding.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace retort::data {

// N images and their labels. Copies share the pixels.
struct Dataset {
  // Keeps `images` and `labels` alive: a mapped artifact, or vectors.
  std::shared_ptr<const void> storage;
  // u8 [N,H,W,C], row-major.
  absl::Span<const uint8_t> images;
  // [N], each in [0, K).
  absl::Span<const int64_t> labels;
  int64_t size = 0;      // N
  int64_t height = 0;    // H
  int64_t width = 0;     // W
  int64_t channels = 0;  // C
  // [K]
  std::vector<std::string> class_names;
};

// Owns its vectors. InvalidArgument if the sizes do not fit or a label is outside [0, K).
absl::StatusOr<Dataset> MakeDataset(std::vector<uint8_t> images, std::vector<int64_t> labels, int64_t height,
                                    int64_t width, int64_t channels, std::vector<std::string> class_names);

// A data set as published: what is trained on and what is measured on.
struct DatasetSplits {
  std::string name;  // "cifar10"
  Dataset train;
  Dataset test;
};

// One safetensors file, tensors train_images, train_labels, test_images, test_labels.
absl::Status WriteDataset(const std::string& path, const DatasetSplits& splits);

// Maps the file read-only: nothing is copied, and processes share the pages. DataLoss if it is damaged.
absl::StatusOr<DatasetSplits> OpenDataset(const std::string& path);

// Mean and population standard deviation of each channel over all pixels, in units of full scale (0..1).
struct ChannelStatistics {
  std::vector<double> mean;  // [C]
  std::vector<double> std;   // [C]
};
ChannelStatistics ComputeChannelStatistics(const Dataset& dataset);

}  // namespace retort::data
