// What the fronts of this folder have in common: the checks of their arguments, and samples seen as rows of places.
#pragma once

#include <array>
#include <initializer_list>

#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/check_arguments.h"
#include "retort/ops/device.h"

namespace retort::ops {

class Places;

// In the order in which the arguments stand.
class CheckAttention {
 public:
  CheckAttention(absl::string_view op, const halide_buffer_t* features, const ActivationMapParameters& parameters,
                 Device device);

  // f32 [B,H,W].
  void Map(absl::string_view name, const halide_buffer_t* map);
  void OutputMap(absl::string_view name, const halide_buffer_t* map);
  // f32 [B,C,H,W], laid out as the features are.
  void Gradient(const halide_buffer_t* gradient);
  // f32 [B], or another letter and number.
  void Vector(absl::string_view name, const halide_buffer_t* vector, absl::string_view letters, int extent);

  // What a block of a GPU holds of a map; after the rest, of the buffers that the op sees.
  void FitsDevice(const Places& places);

  int batch() const { return batch_; }
  // Whether channels lie side by side, or else places.
  bool interleaved() const { return interleaved_; }
  const absl::Status& status() const { return check_.status(); }

 private:
  void MapShape(absl::string_view name, const halide_buffer_t* map);
  void Layout(absl::string_view name, const halide_buffer_t& buffer);

  CheckArguments check_;
  bool host_;
  int batch_ = 0, channels_ = 0, height_ = 0, width_ = 0;
  bool interleaved_ = false;
};

// Buffers of one call, whose dimensions W and H become one of H*W places if all of them allow it: long vectors, also of
// small maps.
class Places {
 public:
  explicit Places(std::initializer_list<halide_buffer_t*> buffers);
  // Hands the device's marks back to the caller's buffers.
  ~Places();
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  // Whether the rows became one.
  bool one_row() const { return one_row_; }

  // In the order given.
  halide_buffer_t* operator[](size_t i) { return &seen_[i]; }

 private:
  static constexpr size_t kMost = 3;
  size_t size_ = 0;
  bool one_row_ = true;
  std::array<halide_buffer_t*, kMost> original_;
  std::array<halide_buffer_t, kMost> seen_;
  std::array<std::array<halide_dimension_t, 4>, kMost> dimensions_;
};

}  // namespace retort::ops
