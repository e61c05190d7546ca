// What a model is worth, and how much it resembles its teacher.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

#include "retort/data/batcher.h"
#include "retort/nn/model.h"

namespace retort::kd {

// Of a model's logits z [N,K] and labels.
struct Quality {
  double accuracy = 0;  // share of images whose largest logit is the label's, 0..1
  double loss = 0;      // mean cross-entropy with the label: negative log-likelihood
  // Expected calibration error, 0..1: sum_m |B_m| / N |accuracy of B_m - mean confidence of B_m|, confidence the
  // largest probability, B_m the images with confidence in ((m - 1) / 15, m / 15], m = 1..15. Source: Guo et al., arXiv
  // 1706.04599.
  double ece = 0;
};

// Student against teacher on the same images.
struct Fidelity {
  Quality teacher;
  double agreement = 0;  // share of images whose largest logit is of the same class, 0..1
  double kl = 0;         // mean KL(softmax(teacher) || softmax(student))
  // Linear centred kernel alignment of the embeddings X [N,D_s], Y [N,D_t], columns less their means, 0..1:
  // ||X' Y||_F^2 / (||X' X||_F ||Y' Y||_F). NaN where all images have one embedding. Source: Kornblith et al.,
  // arXiv 1905.00414.
  double cka = 0;
};

// One bin of confidence, see Quality::ece.
struct CalibrationBin {
  int64_t images = 0;
  int64_t correct = 0;    // of them
  double confidence = 0;  // sum over them
};

struct Evaluation : Quality {
  int64_t images = 0;
  // [K,K] row-major: confusion[label * K + prediction], in images.
  std::vector<int64_t> confusion;
  std::vector<CalibrationBin> calibration;  // m = 1..15
  absl::optional<Fidelity> fidelity;        // if there is a teacher
};

// A model and how it sees images.
struct Beholder {
  nn::Model* model;
  const data::Batcher* batcher;
};

// Runs the model in evaluation mode (and puts it back into the mode it was found in: training) over one view of
// `index`; and a teacher, of which `batcher` has the same images. Memory beside a batch: D_s^2 + D_t^2 + D_s D_t
// numbers. InvalidArgument if there are no images or the logits are not [B,classes]; DataLoss if they are not finite.
absl::StatusOr<Evaluation> Evaluate(nn::Model& model, const data::Batcher& batcher, absl::Span<const int64_t> index,
                                    int64_t classes, int64_t batch_size,
                                    absl::optional<Beholder> teacher = absl::nullopt, int64_t view = 0);

}  // namespace retort::kd
