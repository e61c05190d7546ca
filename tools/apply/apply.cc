// Augments an image file, or one of a data set, as a training would.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"
#include "nlohmann/json.hpp"

#include "retort/data/dataset.h"
#include "retort/data/dataset.pb.h"
#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/policies/augment_choice.h"
#include "retort/data/sources/data_dir.h"
#include "retort/data/sources/read_source.h"
#include "retort/ops/augment/augment.h"
#include "retort/ops/codecs/decode_image.h"
#include "retort/ops/codecs/encode_png.h"
#include "retort/ops/codecs/image.h"
#include "retort/pipelines/config/text.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/pipelines/program/exit_code.h"
#include "retort/tools/apply/apply.pb.h"
#include "retort/tools/apply/apply_steps.h"

ABSL_FLAG(std::string, augment, "", "steps, as text: 'step { crop { pad: 4 } } step { auto_augment { } }'");
ABSL_FLAG(std::string, op, "", "one op instead of steps: rotate, equalize ...; an unknown name lists them");
ABSL_FLAG(double, argument, 0, "of --op: degrees, a factor, pixels ... (data/policies/augment_choice.h)");
ABSL_FLAG(uint64_t, seed, 0, "of the draws");
ABSL_FLAG(absl::optional<int64_t>, index, absl::nullopt, "which image it is to the draws; by default its number, or 0");
ABSL_FLAG(std::string, partner, "", "another such image, of the same size: what mixup and cut_mix mix IN with");
ABSL_FLAG(absl::optional<int64_t>, partner_index, absl::nullopt, "as --index, of --partner");
ABSL_FLAG(int64_t, view, 0, "which view of the image");
ABSL_FLAG(int64_t, grid, 0, "write a contact sheet of this many views, from --view on");
ABSL_FLAG(bool, params_json, false, "print what is drawn, as JSON; OUT may then be left out");
ABSL_FLAG(bool, benchmark, false, "print images a second of one thread; OUT may then be left out");
ABSL_FLAG(std::string, data_dir, "", "folder of data sets; default $RETORT_DATA, then ~/.cache/retort/data");

namespace retort::tools {
namespace {

constexpr char kUsage[] =
    "apply (--augment=STEPS [--partner=IN2] | --op=NAME [--argument=X]) IN [OUT.png]\n"
    "  IN is a PNG, JPEG or WebP, or an image of a data set: cifar10:train:123, cifar100:test:5, procedural:train:0\n"
    "  IN2, just such an image, is what steps that mix (mixup, cut_mix) mix IN with";

// Draws know 2^32 views; a sheet of them must end before.
constexpr int64_t kLastView = (int64_t{1} << 32) - 1 - 10000;

// An image of grey or RGB pixels [H,W,C] as RGB.
ops::Image Rgb(const data::Dataset& dataset, int64_t index) {
  const int height = static_cast<int>(dataset.height), width = static_cast<int>(dataset.width);
  ops::Image image{height, width, height, width, {}};
  const int64_t pixels = dataset.height * dataset.width;
  for (int64_t i = 0; i < pixels * 3; ++i) {
    const int64_t channel = dataset.channels == 3 ? i % 3 : 0;
    image.pixels.push_back(dataset.images[static_cast<size_t>((index * pixels + i / 3) * dataset.channels + channel)]);
  }
  return image;
}

// The draws know it as number `as`, by default as its number in the data set, or 0.
absl::StatusOr<Input> ReadInput(const std::string& name, absl::optional<int64_t> as) {
  const std::vector<std::string> parts = absl::StrSplit(name, ':');
  config::Ingest source;
  if (parts[0] == "cifar10") {
    source.mutable_cifar10();
  } else if (parts[0] == "cifar100") {
    source.mutable_cifar100();
  } else if (parts[0] == "procedural") {
    source.mutable_procedural();
  } else {
    RETORT_ASSIGN_OR_RETURN(const std::string bytes, data::ReadFile(pipelines::ResolveUserPath(name)));
    absl::StatusOr<ops::Image> image = ops::DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    if (!image.ok()) return absl::Status(image.status().code(), absl::StrCat(name, ": ", image.status().message()));
    return Input{*std::move(image), as.value_or(0)};
  }
  int64_t index = 0;
  if (parts.size() != 3 || (parts[1] != "train" && parts[1] != "test") || !absl::SimpleAtoi(parts[2], &index)) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is no image of a data set; write it as ", parts[0],
                                                   ":train:123 or ", parts[0], ":test:5"));
  }
  const std::string data_dir = absl::GetFlag(FLAGS_data_dir);
  RETORT_ASSIGN_OR_RETURN(
      const data::DatasetSplits splits,
      data::ReadSource(source, data_dir.empty() ? data::DefaultDataDir() : pipelines::ResolveUserPath(data_dir)));
  const data::Dataset& split = parts[1] == "train" ? splits.train : splits.test;
  if (index < 0 || index >= split.size) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", parts[1], " has images 0..", split.size - 1));
  }
  return Input{Rgb(split, index), as.value_or(index)};
}

// Every view is what the op makes of the image.
class OpViews final : public Views {
 public:
  OpViews(data::AugmentChoice choice, Input input) : choice_(choice), input_(std::move(input)) {}
  absl::StatusOr<ops::Image> Make(int64_t /*view*/) const override {
    using ::Halide::Runtime::Buffer;
    ops::AugmentRecord record = data::RecordOf(choice_, input_.image.height, input_.image.width);
    ops::Image result = input_.image;
    Buffer<uint8_t, 4> images(result.pixels.data(), 3, result.width, result.height, 1);
    Buffer<int32_t, 3> records(reinterpret_cast<int32_t*>(&record), ops::kAugmentRecordWords, 1, 1);
    RETORT_RETURN_IF_ERROR(ops::Augment(images, records, images));
    return result;
  }
  nlohmann::json Params(int64_t /*view*/) const override {
    return {{"op", std::string(data::Name(choice_.op))}, {"argument", choice_.argument}};
  }

 private:
  data::AugmentChoice choice_;
  Input input_;
};

absl::StatusOr<data::AugmentOp> OpByName(const std::string& name) {
  std::string names;
  for (int i = 0; i <= static_cast<int>(data::AugmentOp::kHue); ++i) {
    const auto op = static_cast<data::AugmentOp>(i);
    if (data::Name(op) == name) return op;
    absl::StrAppend(&names, i == 0 ? "" : ", ", data::Name(op));
  }
  return absl::InvalidArgumentError(absl::StrCat("--op=", name, " is unknown; permitted: ", names));
}

absl::StatusOr<config::AugmentSteps> ParseSteps(const std::string& text) {
  config::AugmentSteps steps;
  pipelines::Said said;
  std::vector<pipelines::Fault> faults;
  pipelines::ReadMessage(text, &steps, &said, &faults);
  if (faults.empty()) return steps;
  std::string message;
  for (const pipelines::Fault& fault : faults) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", "--augment:", fault.place.line, ":", fault.place.column,
                    ": ", fault.what);
  }
  return absl::InvalidArgumentError(message);
}

// What `in` and --partner name.
absl::StatusOr<std::unique_ptr<Views>> ViewsOf(const std::string& in) {
  if (!absl::GetFlag(FLAGS_op).empty()) {
    RETORT_ASSIGN_OR_RETURN(const data::AugmentOp op, OpByName(absl::GetFlag(FLAGS_op)));
    RETORT_ASSIGN_OR_RETURN(Input input, ReadInput(in, absl::GetFlag(FLAGS_index)));
    return std::make_unique<OpViews>(data::AugmentChoice{op, absl::GetFlag(FLAGS_argument)}, std::move(input));
  }
  RETORT_ASSIGN_OR_RETURN(const config::AugmentSteps steps, ParseSteps(absl::GetFlag(FLAGS_augment)));
  RETORT_ASSIGN_OR_RETURN(Input input, ReadInput(in, absl::GetFlag(FLAGS_index)));
  absl::optional<Input> partner;
  if (!absl::GetFlag(FLAGS_partner).empty()) {
    RETORT_ASSIGN_OR_RETURN(partner, ReadInput(absl::GetFlag(FLAGS_partner), absl::GetFlag(FLAGS_partner_index)));
  }
  return MakeViews(steps.step(), absl::GetFlag(FLAGS_seed), std::move(input), std::move(partner));
}

absl::Status Benchmark(const Views& views) {
  halide_set_num_threads(1);
  int64_t images = 0;
  const auto start = std::chrono::steady_clock::now();
  double seconds = 0;
  while (seconds < 1) {
    for (int i = 0; i < 16; ++i) RETORT_RETURN_IF_ERROR(views.Make(images++).status());
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::printf("%.0f images/s, one image a call, 1 thread\n", static_cast<double>(images) / seconds);
  return absl::OkStatus();
}

absl::Status Write(const ops::Image& image, const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const std::string png, ops::EncodePng(image.pixels, image.height, image.width, 3));
  RETORT_ASSIGN_OR_RETURN(const auto file, data::AtomicFile::Create(pipelines::ResolveUserPath(path)));
  RETORT_RETURN_IF_ERROR(file->Append(png));
  return file->Commit();
}

absl::Status Run(const std::string& in, const std::string& out) {
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<Views> views, ViewsOf(in));
  const int64_t first = absl::GetFlag(FLAGS_view), grid = absl::GetFlag(FLAGS_grid);
  if (absl::GetFlag(FLAGS_params_json)) {
    for (int64_t view = first; view < first + std::max<int64_t>(grid, 1); ++view) {
      std::printf("%s\n", views->Params(view).dump().c_str());
    }
  }
  if (absl::GetFlag(FLAGS_benchmark)) RETORT_RETURN_IF_ERROR(Benchmark(*views));
  if (out.empty()) return absl::OkStatus();
  if (grid == 0) {
    RETORT_ASSIGN_OR_RETURN(const ops::Image image, views->Make(first));
    return Write(image, out);
  }
  std::vector<ops::Image> images;
  for (int64_t view = first; view < first + grid; ++view) {
    RETORT_ASSIGN_OR_RETURN(ops::Image image, views->Make(view));
    images.push_back(std::move(image));
  }
  return Write(ContactSheet(images), out);
}

int Main(const std::vector<char*>& arguments) {
  const bool prints = absl::GetFlag(FLAGS_params_json) || absl::GetFlag(FLAGS_benchmark);
  std::string fault;
  if (absl::GetFlag(FLAGS_augment).empty() == absl::GetFlag(FLAGS_op).empty()) {
    fault = "give either --augment or --op";
  } else if (arguments.size() != 3 && !(arguments.size() == 2 && prints)) {
    fault = "give IN and OUT.png; OUT may be left out with --params_json or --benchmark";
  } else if (absl::GetFlag(FLAGS_grid) < 0 || absl::GetFlag(FLAGS_grid) > 10000) {
    fault = absl::StrCat("--grid=", absl::GetFlag(FLAGS_grid), "; permitted are 0..10000");
  } else if (absl::GetFlag(FLAGS_view) < 0 || absl::GetFlag(FLAGS_view) > kLastView) {
    fault = absl::StrCat("--view=", absl::GetFlag(FLAGS_view), "; permitted are 0..", kLastView);
  } else if (absl::GetFlag(FLAGS_index).value_or(0) < 0 || absl::GetFlag(FLAGS_partner_index).value_or(0) < 0) {
    fault = "--index and --partner_index must not be negative";
  } else if (!absl::GetFlag(FLAGS_op).empty() && !absl::GetFlag(FLAGS_partner).empty()) {
    fault = "--partner is for steps that mix; give --augment with mixup or cut_mix, or leave it out";
  } else if (absl::GetFlag(FLAGS_partner).empty() && absl::GetFlag(FLAGS_partner_index).has_value()) {
    fault = "--partner_index is which image --partner is to the draws; give --partner, too, or leave it out";
  }
  if (!fault.empty()) {
    std::cerr << "error: " << fault << "\n" << kUsage << "\n";
    return pipelines::kExitUsage;
  }
  const absl::Status status = Run(arguments[1], arguments.size() == 3 ? arguments[2] : "");
  if (!status.ok()) std::cerr << "error: " << status.message() << "\n";
  return pipelines::ExitCode(status, 0);
}

}  // namespace
}  // namespace retort::tools

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(retort::tools::kUsage);
  return retort::tools::Main(absl::ParseCommandLine(argc, argv));
}
