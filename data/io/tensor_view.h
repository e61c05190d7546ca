// Tensors whose bytes are somewhere else, without torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace retort::data {

// The types of safetensors 0.8. F8_E4M3 and F8_E5M2 are PyTorch's float8_e4m3fn and float8_e5m2, C64 is complex64.
enum class DType {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

// In the order of the enum.
absl::Span<const DType> AllDTypes();
// "BOOL", "U8", ... as safetensors spells it.
absl::string_view DTypeName(DType dtype);
absl::optional<DType> DTypeOfName(absl::string_view name);
// Bits of one element: 4, 6 or a multiple of 8.
int64_t DTypeBits(DType dtype);

// Bytes of a row-major tensor. Nothing where an extent is negative, the last byte is not full, or the extents that are
// not 0 make more than 2^63 - 1 bits.
absl::optional<int64_t> ByteCount(DType dtype, absl::Span<const int64_t> shape);

// "F32 [2,3]"
std::string DescribeTensor(DType dtype, absl::Span<const int64_t> shape);

// A row-major tensor.
struct TensorView {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  // ByteCount(dtype, shape) bytes.
  absl::Span<const uint8_t> bytes;
};

// A tensor that need not be row-major: transposed, channels_last, expanded, or a part of a larger one.
struct StridedView {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  // Elements between neighbours along each dimension, not negative; as many as `shape` has.
  std::vector<int64_t> strides;
  // From the first element to the last one that the strides reach; empty where an extent is 0.
  absl::Span<const uint8_t> bytes;
};

// Strides of a row-major tensor, in elements. An extent of 0 counts as 1, as in PyTorch.
std::vector<int64_t> RowMajorStrides(absl::Span<const int64_t> shape);

}  // namespace retort::data
