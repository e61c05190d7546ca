#include "retort/pipelines/program/without_exceptions.h"

#include <exception>
#include <new>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "c10/util/Exception.h"

namespace retort::pipelines {
namespace {

absl::Status NoMemory(absl::string_view what) {
  return absl::ResourceExhaustedError(
      absl::StrCat("out of memory (", what, "); lower batch_size or shard_size, or end other programs"));
}

absl::Status Unforeseen(absl::string_view what) {
  return absl::InternalError(
      absl::StrCat("an unforeseen fault: ", what, "; please report it, with the output of --print_config"));
}

// LibTorch tells its faults apart by their words alone.
absl::Status StatusOf(const c10::Error& error) {
  const absl::string_view what = error.what_without_backtrace();
  if (absl::StrContains(what, "DefaultCPUAllocator: ")) return NoMemory(what);
  if (absl::StrContains(what, "Expected more than 1 value per channel when training")) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": BatchNorm cannot be trained on one image of 1x1 maps, such as the last of an epoch when all other ",
        "batches are full; choose a batch_size that leaves no single image over, or larger images"));
  }
  return Unforeseen(what);
}

}  // namespace

absl::Status StatusOfException() {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    return NoMemory(error.what_without_backtrace());
  } catch (const c10::Error& error) {
    return StatusOf(error);
  } catch (const std::bad_alloc& error) {
    return NoMemory(error.what());
  } catch (const std::exception& error) {
    return Unforeseen(error.what());
  } catch (...) {
    return Unforeseen("an exception of no known type");
  }
}

}  // namespace retort::pipelines
