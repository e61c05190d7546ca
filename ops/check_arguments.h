// What an op demands of its buffers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/ops/device.h"

namespace retort::ops {

// Extents, outermost first.
std::vector<int> ShapeOf(const halide_buffer_t& buffer);

// bfloat16 numbers, in memory u16.
inline halide_type_t BFloat16() { return {halide_type_bfloat, 16}; }
inline halide_type_t Float16() { return {halide_type_float, 16}; }

// Checks in a row; the first fault is kept and what follows it is not looked at.
//
//   CheckArguments check("blur", device);
//   check.Buffer("input", input, {halide_type_of<float>()}, 2);
//   check.Output("output", output, {halide_type_of<float>()}, 2);
//   if (check.ok()) check.Shape("output", *output, "[H,W]", ShapeOf(*input));
//   if (!check.ok()) return check.status();
//
// A status is InvalidArgument, and names the op, the buffer, what it is and what it must be.
class CheckArguments {
 public:
  // `op` outlives this object.
  CheckArguments(absl::string_view op, Device device) : op_(op), device_(device) {}

  // A buffer to read: it is there, on the device, with one of `types`, `dimensions` dimensions and no negative extent.
  void Buffer(absl::string_view name, const halide_buffer_t* buffer, std::initializer_list<halide_type_t> types,
              int dimensions);

  // A buffer to write: besides, no two elements share memory.
  void Output(absl::string_view name, const halide_buffer_t* buffer, std::initializer_list<halide_type_t> types,
              int dimensions);

  // `letters` are the shape as the docstring writes it, "[B,C,H,W]".
  void Shape(absl::string_view name, const halide_buffer_t& buffer, absl::string_view letters,
             std::initializer_list<int> extents);

  // What is divided among a grid's second or third dimension, of which CUDA has 65,535 blocks: on the host, any number.
  void Grid(absl::string_view what, int64_t blocks);

  // Any other demand, told in whole: Condition(sigma > 0, [&] { return absl::StrCat("sigma is ", sigma, ...); }).
  template <typename Fault>
  void Condition(bool holds, Fault fault) {
    if (ok() && !holds) Refuse(fault());
  }

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }

 private:
  void Refuse(absl::string_view fault);

  absl::string_view op_;
  Device device_;
  absl::Status status_;
};

}  // namespace retort::ops
