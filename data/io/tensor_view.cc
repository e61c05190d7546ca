#include "retort/data/io/tensor_view.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::data {
namespace {

struct DTypeInfo {
  absl::string_view name;
  int64_t bits;
};

constexpr size_t kDTypes = static_cast<size_t>(DType::kU64) + 1;

// In the order of the enum.
constexpr DTypeInfo kInfo[kDTypes] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
};

const DTypeInfo& Info(DType dtype) { return kInfo[static_cast<size_t>(dtype)]; }

}  // namespace

absl::Span<const DType> AllDTypes() {
  static constexpr auto kAll = [] {
    std::array<DType, kDTypes> all{};
    for (size_t i = 0; i < kDTypes; ++i) all[i] = static_cast<DType>(i);
    return all;
  }();
  return kAll;
}

absl::string_view DTypeName(DType dtype) { return Info(dtype).name; }

absl::optional<DType> DTypeOfName(absl::string_view name) {
  for (const DType dtype : AllDTypes()) {
    if (DTypeName(dtype) == name) return dtype;
  }
  return absl::nullopt;
}

int64_t DTypeBits(DType dtype) { return Info(dtype).bits; }

absl::optional<int64_t> ByteCount(DType dtype, absl::Span<const int64_t> shape) {
  int64_t bits = DTypeBits(dtype);
  bool empty = false;
  for (const int64_t extent : shape) {
    empty = empty || extent == 0;
    if (extent < 0 || __builtin_mul_overflow(bits, std::max<int64_t>(extent, 1), &bits)) return absl::nullopt;
  }
  if (empty) return 0;
  if (bits % 8 != 0) return absl::nullopt;
  return bits / 8;
}

std::string DescribeTensor(DType dtype, absl::Span<const int64_t> shape) {
  return absl::StrCat(DTypeName(dtype), " [", absl::StrJoin(shape, ","), "]");
}

std::vector<int64_t> RowMajorStrides(absl::Span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<int64_t>(shape[i], 1);
  }
  return strides;
}

}  // namespace retort::data
