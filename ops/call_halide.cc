#include "retort/ops/call_halide.h"

#include <string>

#include "HalideRuntime.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace retort::ops {
namespace {

// What Halide last said on this thread.
thread_local std::string last_message;

void KeepMessage(void* /*user_context*/, const char* message) { last_message = message; }

}  // namespace

absl::Status CallHalide(absl::string_view op, absl::FunctionRef<int()> call) {
  [[maybe_unused]] static const halide_error_handler_t previous = halide_set_error_handler(&KeepMessage);
  last_message.clear();
  const int code = call();
  if (code == halide_error_code_success) return absl::OkStatus();
  const std::string text =
      absl::StrCat(op, ": Halide error ", code, ": ", absl::StripTrailingAsciiWhitespace(last_message));
  return code == halide_error_code_out_of_memory ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
}

}  // namespace retort::ops
