// An image file as a model takes it.
#pragma once

#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"

namespace retort::tools {

struct ImagePreparation {
  int height = 32, width = 32;  // of the crop
  // Shorter side of what is cropped, at least as long as the crop's sides.
  int resize = 32;
  // [3], of pixels in [0, 1].
  std::vector<double> mean, std;
};

// f32 [1,3,H,W]: decoded, resized so that the shorter side is `resize` (bilinear, antialiased, as Pillow does), the
// middle cropped, normalised; torchvision's Resize, CenterCrop, ToTensor and Normalize on a Pillow image.
//
// NotFound if there is no such file; InvalidArgument for a file that is no JPEG, PNG or WebP and for a preparation that
// cannot be; DataLoss for a damaged image.
absl::StatusOr<at::Tensor> ReadImage(const std::string& path, const ImagePreparation& preparation);

}  // namespace retort::tools
