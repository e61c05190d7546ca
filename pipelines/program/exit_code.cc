#include "retort/pipelines/program/exit_code.h"

#include <csignal>

namespace retort::pipelines {

int ExitCode(const absl::Status& status, int stop_signal) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kDataLoss:
      return 65;
    case absl::StatusCode::kNotFound:
      return 66;
    case absl::StatusCode::kPermissionDenied:
      return 73;
    case absl::StatusCode::kResourceExhausted:
      return 74;
    case absl::StatusCode::kUnavailable:
      return 75;
    case absl::StatusCode::kCancelled:
      return stop_signal == SIGINT ? 130 : 75;
    case absl::StatusCode::kInvalidArgument:
      return 78;
    default:
      return 70;
  }
}

}  // namespace retort::pipelines
