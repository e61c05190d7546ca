#include "retort/ops/check_arguments.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::ops {
namespace {

std::string Text(halide_type_t type) {
  constexpr absl::string_view kKinds[] = {"i", "u", "f", "handle", "bf"};
  return absl::StrCat(kKinds[type.code], static_cast<int>(type.bits));
}

// From the innermost dimension out, each must step over all that the ones within it reach.
bool SharesMemory(const halide_buffer_t& buffer) {
  std::vector<std::pair<int64_t, int64_t>>
      steps;  // stride and extent of the dimensions that have elements to step over
  for (int i = 0; i < buffer.dimensions; ++i) {
    if (buffer.dim[i].extent == 0) return false;
    if (buffer.dim[i].extent > 1) steps.emplace_back(std::abs(int64_t{buffer.dim[i].stride}), buffer.dim[i].extent);
  }
  std::sort(steps.begin(), steps.end());
  int64_t reach = 0;
  for (const auto& [stride, extent] : steps) {
    if (stride <= reach) return true;
    reach += stride * (extent - 1);
  }
  return false;
}

}  // namespace

std::vector<int> ShapeOf(const halide_buffer_t& buffer) {
  std::vector<int> shape;
  for (int i = buffer.dimensions; i > 0; --i) shape.push_back(buffer.dim[i - 1].extent);
  return shape;
}

void CheckArguments::Buffer(absl::string_view name, const halide_buffer_t* buffer,
                            std::initializer_list<halide_type_t> types, int dimensions) {
  if (!ok()) return;
  if (buffer == nullptr) return Refuse(absl::StrCat(name, " is missing"));
  if (buffer->dimensions != dimensions || std::find(types.begin(), types.end(), buffer->type) == types.end()) {
    const std::string permitted =
        absl::StrJoin(types, " or ", [](std::string* out, halide_type_t type) { out->append(Text(type)); });
    return Refuse(absl::StrCat(name, " has ", buffer->dimensions, " dimensions of ", Text(buffer->type), "; give ",
                               dimensions, " of ", permitted));
  }
  bool empty = false;
  for (int i = 0; i < dimensions; ++i) {
    const int extent = buffer->dim[i].extent;
    if (extent < 0) return Refuse(absl::StrCat(name, " has ", extent, " elements along dim[", i, "]; give 0 or more"));
    empty = empty || extent == 0;
  }
  if (empty) return;
  const bool host = device_.kind == Device::Kind::kHost;
  if (host ? buffer->host == nullptr : buffer->device == 0) {
    return Refuse(absl::StrCat(
        name, " has no memory on the ", Name(device_.kind),
        host ? "; give one whose host pointer is set" : " device; copy it there, or wrap memory that is there"));
  }
}

void CheckArguments::Output(absl::string_view name, const halide_buffer_t* buffer,
                            std::initializer_list<halide_type_t> types, int dimensions) {
  Buffer(name, buffer, types, dimensions);
  if (ok() && SharesMemory(*buffer)) {
    Refuse(absl::StrCat(name, " has elements that share memory; give one whose strides keep them apart"));
  }
}

void CheckArguments::Shape(absl::string_view name, const halide_buffer_t& buffer, absl::string_view letters,
                           std::initializer_list<int> extents) {
  if (!ok()) return;
  int i = buffer.dimensions;
  for (const int extent : extents) {
    if (i == 0 || buffer.dim[--i].extent != extent) {
      return Refuse(absl::StrCat(name, " has shape [", absl::StrJoin(ShapeOf(buffer), ","), "]; give ", letters, " = [",
                                 absl::StrJoin(extents, ","), "]"));
    }
  }
}

void CheckArguments::Grid(absl::string_view what, int64_t blocks) {
  constexpr int64_t kMostBlocks = 65535;
  Condition(device_.kind == Device::Kind::kHost || blocks <= kMostBlocks, [&] {
    return absl::StrCat(blocks, " ", what, "; on a GPU at most ", kMostBlocks, " are permitted, divide the batch");
  });
}

void CheckArguments::Refuse(absl::string_view fault) {
  status_ = absl::InvalidArgumentError(absl::StrCat(op_, ": ", fault));
}

}  // namespace retort::ops
