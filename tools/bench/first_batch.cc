// Our side of train.py's C13: from the start of a process to the first batch of a data set that lies in one file.
//
//   first_batch make FILE 50000     writes the file: so many random images of 32x32x3
//   first_batch FILE                prints "ready" when 128 of them are drawn, cropped by 4, flipped and normalised
//
// A pipeline's stage reads the file once more, to compare its SHA-256 with the artifact's; that is not in here.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/types/span.h"
#include "google/protobuf/repeated_ptr_field.h"

#include "retort/data/augment.pb.h"
#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/views/view_plan.h"
#include "retort/nn/runtime.h"

namespace retort::bench {
namespace {

constexpr int64_t kBatch = 128;

data::Dataset RandomImages(int64_t count) {
  std::mt19937 random(1);
  std::vector<uint8_t> pixels(static_cast<size_t>(count) * 32 * 32 * 3);
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random());
  return data::MakeDataset(std::move(pixels), std::vector<int64_t>(static_cast<size_t>(count)), 32, 32, 3,
                           std::vector<std::string>(10, "class"))
      .value();
}

absl::Status FirstBatch(const std::string& path) {
  nn::ConfigureRuntime(/*threads=*/1);
  RETORT_ASSIGN_OR_RETURN(const data::DatasetSplits splits, data::OpenDataset(path));
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  steps.Add()->mutable_crop()->set_pad(4);
  steps.Add()->mutable_flip();
  RETORT_ASSIGN_OR_RETURN(data::ViewPlan plan, data::ViewPlan::Create(steps, /*seed=*/7));
  RETORT_ASSIGN_OR_RETURN(
      const data::Batcher batcher,
      data::Batcher::Create(&splits.train, std::move(plan), {{0.4914, 0.4822, 0.4465}, {0.247, 0.2435, 0.2616}},
                            data::Batcher::Layout::kContiguous));
  std::vector<int64_t> order(static_cast<size_t>(splits.train.size));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  return batcher.Assemble(absl::MakeConstSpan(order).subspan(0, kBatch), {0}).status();
}

int Main(const std::vector<std::string>& arguments) {
  int64_t count = 0;
  absl::Status status;
  if (arguments.size() == 3 && arguments[0] == "make" && absl::SimpleAtoi(arguments[2], &count) && count >= kBatch) {
    status = data::WriteDataset(arguments[1], {"random", RandomImages(count), RandomImages(kBatch)});
  } else if (arguments.size() == 1) {
    status = FirstBatch(arguments[0]);
    if (status.ok()) std::puts("ready");
    std::fflush(stdout);
  } else {
    std::fprintf(stderr, "permitted: FILE, or make FILE COUNT, COUNT from %d\n", static_cast<int>(kBatch));
    return 64;
  }
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace retort::bench

int main(int argc, char** argv) { return retort::bench::Main(std::vector<std::string>(argv + 1, argv + argc)); }
