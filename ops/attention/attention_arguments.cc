#include "retort/ops/attention/attention_arguments.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace retort::ops {
namespace {

const halide_type_t kFloat = halide_type_of<float>();

bool CanJoin(const halide_buffer_t& buffer) {
  const halide_dimension_t &x = buffer.dim[0], &y = buffer.dim[1];
  return x.min == 0 && y.min == 0 && (y.extent == 1 || int64_t{y.stride} == int64_t{x.stride} * x.extent);
}

}  // namespace

CheckAttention::CheckAttention(absl::string_view op, const halide_buffer_t* features,
                               const ActivationMapParameters& parameters, Device device)
    : check_(op, device), host_(device.kind == Device::Kind::kHost) {
  check_.Buffer("features", features, {kFloat}, 4);
  if (!check_.ok()) return;
  batch_ = features->dim[3].extent;
  channels_ = features->dim[2].extent;
  height_ = features->dim[1].extent;
  width_ = features->dim[0].extent;
  interleaved_ = features->dim[0].stride != 1 || (features->dim[2].stride == 1 && channels_ > 1);
  check_.Condition(channels_ > 0 && height_ > 0 && width_ > 0, [&] {
    return absl::StrCat("features have shape [", batch_, ",", channels_, ",", height_, ",", width_,
                        "]; give C, H and W of at least 1");
  });
  check_.Condition(parameters.kind >= ActivationKind::kMeanAbsolute && parameters.kind <= ActivationKind::kMaximum,
                   [&] { return absl::StrCat("there is no activation kind ", static_cast<int>(parameters.kind)); });
  Layout("features", *features);
}

void CheckAttention::Map(absl::string_view name, const halide_buffer_t* map) {
  check_.Buffer(name, map, {kFloat}, 3);
  MapShape(name, map);
}

void CheckAttention::OutputMap(absl::string_view name, const halide_buffer_t* map) {
  check_.Output(name, map, {kFloat}, 3);
  MapShape(name, map);
}

void CheckAttention::Gradient(const halide_buffer_t* gradient) {
  check_.Output("gradient", gradient, {kFloat}, 4);
  if (!check_.ok()) return;
  check_.Shape("gradient", *gradient, "[B,C,H,W]", {batch_, channels_, height_, width_});
  Layout("gradient", *gradient);
}

void CheckAttention::Vector(absl::string_view name, const halide_buffer_t* vector, absl::string_view letters,
                            int extent) {
  check_.Output(name, vector, {kFloat}, 1);
  if (!check_.ok()) return;
  check_.Shape(name, *vector, letters, {extent});
  check_.Condition(vector->dim[0].stride == 1 || extent <= 1,
                   [&] { return absl::StrCat(name, " has stride ", vector->dim[0].stride, "; it must be 1"); });
}

// Two arrays of one sample's places lie in a GPU's 48 kB of shared memory.
void CheckAttention::FitsDevice(const Places& places) {
  const int64_t count = PlacesOnDevice(height_, width_, places.one_row());
  check_.Condition(host_ || count <= kMostPlacesOnDevice, [&] {
    return absl::StrCat("features have ", height_, "x", width_, " places",
                        places.one_row() ? "" : " in rows that do not follow each other", ", for which a GPU keeps ",
                        count, "; permitted there are ", kMostPlacesOnDevice);
  });
}

void CheckAttention::MapShape(absl::string_view name, const halide_buffer_t* map) {
  if (!check_.ok()) return;
  check_.Shape(name, *map, "[B,H,W]", {batch_, height_, width_});
  check_.Condition(map->dim[0].stride == 1,
                   [&] { return absl::StrCat(name, " has stride ", map->dim[0].stride, " of W; it must be 1"); });
}

void CheckAttention::Layout(absl::string_view name, const halide_buffer_t& buffer) {
  check_.Condition(buffer.dim[interleaved_ ? 2 : 0].stride == 1, [&] {
    return absl::StrCat(name, " has strides ", buffer.dim[2].stride, " of C and ", buffer.dim[0].stride, " of W; ",
                        name == "features" ? "one of them must be 1"
                        : interleaved_     ? "that of C must be 1, as in features"
                                           : "that of W must be 1, as in features");
  });
}

Places::Places(std::initializer_list<halide_buffer_t*> buffers) {
  for (halide_buffer_t* buffer : buffers) {
    for (int i = 0; i < buffer->dimensions; ++i) dimensions_[size_][static_cast<size_t>(i)] = buffer->dim[i];
    original_[size_] = buffer;
    seen_[size_] = *buffer;
    seen_[size_].dim = dimensions_[size_].data();
    one_row_ = one_row_ && CanJoin(*buffer);
    ++size_;
  }
  for (size_t i = 0; one_row_ && i < size_; ++i) {
    halide_dimension_t &x = dimensions_[i][0], &y = dimensions_[i][1];
    x.extent *= y.extent;
    y = {0, 1, x.extent * x.stride};
  }
}

Places::~Places() {
  for (size_t i = 0; i < size_; ++i) original_[i]->flags = seen_[i].flags;
}

}  // namespace retort::ops
