#include "retort/pipelines/program/without_exceptions.h"

#include <new>
#include <stdexcept>
#include <string>

#include "ATen/ops/empty.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/zeros.h"
#include "absl/status/statusor.h"
#include "c10/util/Exception.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "torch/nn/functional/batchnorm.h"

namespace retort::pipelines {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

template <typename Throw>
absl::Status Thrown(const Throw& run) {
  return WithoutExceptions([&]() -> absl::Status {
    run();
    return absl::OkStatus();
  });
}

TEST(WithoutExceptions, HandsOnWhatIsReturned) {
  EXPECT_EQ(WithoutExceptions([]() -> absl::StatusOr<int> { return 3; }).value(), 3);
  EXPECT_EQ(WithoutExceptions([] { return absl::NotFoundError("x"); }), absl::NotFoundError("x"));
}

TEST(WithoutExceptions, MemoryThatIsNotThereIsResourceExhausted) {
  const absl::Status of_language = Thrown([] { throw std::bad_alloc(); });
  EXPECT_EQ(of_language.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(of_language.message()), HasSubstr("lower batch_size"));
  // More than any address space.
  const absl::Status of_libtorch = Thrown([] { at::empty({int64_t{1} << 60}); });
  EXPECT_EQ(of_libtorch.code(), absl::StatusCode::kResourceExhausted) << of_libtorch;
  const absl::Status of_accelerator = Thrown([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory"); });
  EXPECT_EQ(of_accelerator.code(), absl::StatusCode::kResourceExhausted) << of_accelerator;
}

TEST(WithoutExceptions, BatchNormOfOneValuePerChannelIsExplained) {
  namespace functional = torch::nn::functional;
  const absl::Status status = Thrown([] {
    functional::batch_norm(at::zeros({1, 2, 1, 1}), {}, {}, functional::BatchNormFuncOptions().training(true));
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("choose a batch_size that leaves no single image over"));
}

TEST(WithoutExceptions, OthersAreInternalAndSayWhatTheySay) {
  const absl::Status of_libtorch = Thrown([] { at::mm(at::zeros({2, 3}), at::zeros({2, 3})); });
  EXPECT_EQ(of_libtorch.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(of_libtorch.message()),
              AllOf(HasSubstr("cannot be multiplied"), HasSubstr("report"), Not(HasSubstr("frame #"))));
  const absl::Status of_library = Thrown([] { throw std::out_of_range("map::at"); });
  EXPECT_EQ(of_library.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(of_library.message()), HasSubstr("map::at"));
  EXPECT_EQ(Thrown([] { throw 7; }).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace retort::pipelines
