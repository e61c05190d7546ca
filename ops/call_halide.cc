#include "retort/ops/call_halide.h"

#include <mutex>
#include <string>

#include "HalideRuntimeCuda.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace retort::ops {
namespace {

// What Halide last said on this thread, and on any: parts of an op run on others.
thread_local std::string last_message;
std::mutex any_message_mutex;
std::string any_message;

void KeepMessage(void* /*user_context*/, const char* message) {
  last_message = message;
  const std::lock_guard<std::mutex> lock(any_message_mutex);
  any_message = message;
}

std::string LastMessage() {
  if (!last_message.empty()) return last_message;
  const std::lock_guard<std::mutex> lock(any_message_mutex);
  return any_message;
}

// What Halide does for callers that give no context.
halide_cuda_acquire_context_t default_acquire_context = nullptr;
halide_cuda_get_stream_t default_get_stream = nullptr;

int AcquireContext(void* user_context, void** context, bool create) {
  if (user_context == nullptr) return default_acquire_context(user_context, context, create);
  *context = static_cast<const CudaContext*>(user_context)->context;
  return halide_error_code_success;
}

int GetStream(void* user_context, void* context, void** stream) {
  if (user_context == nullptr) return default_get_stream(user_context, context, stream);
  *stream = static_cast<const CudaContext*>(user_context)->stream;
  return halide_error_code_success;
}

bool InstallHandlers() {
  halide_set_error_handler(&KeepMessage);
  default_acquire_context = halide_set_cuda_acquire_context(&AcquireContext);
  default_get_stream = halide_set_cuda_get_stream(&GetStream);
  return true;
}

}  // namespace

absl::Status CallHalide(absl::string_view op, absl::FunctionRef<int()> call) {
  [[maybe_unused]] static const bool installed = InstallHandlers();
  last_message.clear();
  const int code = call();
  if (code == halide_error_code_success) return absl::OkStatus();
  const std::string text =
      absl::StrCat(op, ": Halide error ", code, ": ", absl::StripTrailingAsciiWhitespace(LastMessage()));
  return code == halide_error_code_out_of_memory ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
}

}  // namespace retort::ops
