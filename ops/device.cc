#include "retort/ops/device.h"

namespace retort::ops {

absl::string_view Name(Device::Kind kind) {
  switch (kind) {
    case Device::Kind::kHost:
      return "host";
    case Device::Kind::kCuda:
      return "CUDA";
    case Device::Kind::kOpenCl:
      return "OpenCL";
  }
  return "";
}

}  // namespace retort::ops
