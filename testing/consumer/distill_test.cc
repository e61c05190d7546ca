// Hinton's distillation loss and its gradient with an op of Retort, for a training loop of any kind.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>

#include "HalideBuffer.h"
#include "retort/ops/losses/softmax_loss.h"

namespace {

using ::Halide::Runtime::Buffer;

TEST(Distill, CrossEntropyAndKlWithTheirGradient) {
  // Two images, three classes. Buffers are written innermost dimension first.
  std::array<float, 6> logits = {2, -1, 0.5f, 0, 0, 0}, teacher = {4, 1, -2, 1, 0, 0}, gradient = {};
  std::array<int64_t, 2> labels = {0, 2};
  std::array<float, 4> rows = {};
  std::array<float, 3> means = {};
  Buffer<float, 2> logits_buffer(logits.data(), 3, 2), teacher_buffer(teacher.data(), 3, 2),
      gradient_buffer(gradient.data(), 3, 2), rows_buffer(rows.data(), 2, 2);
  Buffer<int64_t, 1> labels_buffer(labels.data(), 2);
  Buffer<float, 1> means_buffer(means.data(), 3);
  retort::ops::DistillParameters parameters;
  parameters.temperature = 2;
  parameters.hard_weight = 0.5f;
  parameters.soft_weight = 0.5f;

  const absl::Status status = retort::ops::CrossEntropyKl(logits_buffer, labels_buffer, teacher_buffer, parameters,
                                                          {gradient_buffer, rows_buffer, means_buffer});

  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NEAR(means[0], 0.5f * means[1] + 0.5f * means[2], 1e-6f);
  // Both summands are functions of softmax: a row's gradient adds up to 0.
  EXPECT_NEAR(gradient[0] + gradient[1] + gradient[2], 0, 1e-6f);
  // The second student knows nothing: its cross-entropy is ln 3, and the gradient pulls towards label and teacher.
  EXPECT_LT(gradient[5], 0);
}

}  // namespace
