// Our side of tools/bench/ops.py, which says what each case is. The argument is the folder of photographs.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/core/Reduction.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/kl_div.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/softmax.h"
#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "google/protobuf/text_format.h"

#include "retort/data/augment.pb.h"
#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/data/views/crop_plan.h"
#include "retort/data/views/view_plan.h"
#include "retort/nn/runtime.h"
#include "retort/ops/codecs/decode_image.h"
#include "retort/ops/codecs/image.h"
#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"
#include "retort/ops/resize/resize.h"
#include "retort/ops/torch/autograd/attention.h"
#include "retort/ops/torch/autograd/softmax_loss.h"
#include "retort/tools/bench/torch_data_peer.h"
#include "retort/tools/bench/turn.h"

namespace retort::bench {
namespace {

using ::Halide::Runtime::Buffer;

constexpr int64_t kImages = 50000, kBatch = 128;

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}

Case::Round Timed(double units, const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return {units, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

// 50,000 random images of 32x32x3, the same in every case.
const data::Dataset& Images() {
  static const data::Dataset* const images = [] {
    std::mt19937 random(1);
    std::vector<uint8_t> pixels(static_cast<size_t>(kImages) * 32 * 32 * 3);
    for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random());
    return new data::Dataset(Must(data::MakeDataset(std::move(pixels), std::vector<int64_t>(kImages), 32, 32, 3,
                                                    std::vector<std::string>(10, "class"))));
  }();
  return *images;
}

// A pass over the images in a new order each round, through the batcher that the trainer uses.
std::function<Case::Round()> Pass(int threads, const std::vector<const char*>& steps) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> messages;
  for (const char* step : steps) {
    if (!google::protobuf::TextFormat::ParseFromString(step, messages.Add())) std::exit(1);
  }
  auto batcher = std::make_shared<data::Batcher>(Must(
      data::Batcher::Create(&Images(), Must(data::ViewPlan::Create(messages, 7)),
                            {{0.4914, 0.4822, 0.4465}, {0.247, 0.2435, 0.2616}}, data::Batcher::Layout::kContiguous)));
  auto order = std::make_shared<std::vector<int64_t>>(kImages);
  std::iota(order->begin(), order->end(), 0);
  auto epoch = std::make_shared<int64_t>(0);
  return [=] {
    at::set_num_threads(threads);
    std::shuffle(order->begin(), order->end(), std::mt19937(static_cast<uint32_t>(*epoch)));
    return Timed(kImages, [&] {
      for (int64_t i = 0; i < kImages; i += kBatch) {
        Must(batcher->Assemble(absl::MakeConstSpan(*order).subspan(static_cast<size_t>(i), kBatch), {*epoch}));
      }
      ++*epoch;
    });
  };
}

constexpr int kPhotos = 256, kHeight = 375, kWidth = 500, kSide = 224, kPhotoBatch = 32;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file) {
    std::fprintf(stderr, "cannot read %s; start tools/bench/ops.py, which makes it\n", path.c_str());
    std::exit(66);
  }
  return bytes.str();
}

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Which part of an image of height x width a view shows.
using Draw = std::function<ops::CropResizeParams(int height, int width)>;

// Some pixels of a photograph, [H,W,3], and where in them the view lies.
struct View {
  Buffer<uint8_t, 3> pixels;
  ops::CropResizeParams params;
};

// A pass over the photographs in batches of 32, each cropped, resized, mirrored and normalised to planes.
std::function<Case::Round()> PhotoPass(std::function<View(int photo, const Draw& draw)> view) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  steps.Add()->mutable_random_resized_crop();
  steps.Add()->mutable_flip();
  auto plan = std::make_shared<data::CropPlan>(Must(data::CropPlan::Create(steps, 7)));
  auto epoch = std::make_shared<int64_t>(0);
  return [=] {
    halide_set_num_threads(1);
    return Timed(kPhotos, [&] {
      Buffer<float, 1> scale(3), offset(3), erased(3);
      scale.fill(0.0171f);
      offset.fill(-2.1f);
      erased.fill(0);
      for (int first = 0; first < kPhotos; first += kPhotoBatch) {
        std::vector<Buffer<uint8_t, 3>> buffers;
        std::vector<ops::CropResizeParams> params;
        for (int i = first; i < first + kPhotoBatch; ++i) {
          View drawn = view(i, [&](int height, int width) { return plan->Draw(i, *epoch, height, width); });
          buffers.push_back(std::move(drawn.pixels));
          params.push_back(drawn.params);
        }
        std::vector<halide_buffer_t*> pointers;
        for (Buffer<uint8_t, 3>& buffer : buffers) pointers.push_back(buffer);
        Buffer<float, 4> batch(kSide, kSide, 3, kPhotoBatch);
        const absl::Status status =
            ops::CropResize(pointers, params, ops::Filter::kBilinear, scale, offset, erased, batch);
        if (!status.ok()) Must(absl::StatusOr<int>(status));
      }
      ++*epoch;
    });
  };
}

// `count` calls of a loss, forward and backward by `student`.
std::function<Case::Round()> Calls(int count, const at::Tensor& student, std::function<at::Tensor()> loss) {
  return [=] {
    at::set_num_threads(1);
    return Timed(count, [&] {
      for (int i = 0; i < count; ++i) {
        student.mutable_grad().reset();
        loss().backward();
      }
    });
  };
}

// The teacher's map is taken from its features in every call, as the peer does.
Case AttentionTransfer(const char* name, std::vector<int64_t> shape, bool channels_last) {
  return {absl::StrCat("attention_", name, channels_last ? "_cl" : "_nchw"), [=] {
            const at::MemoryFormat layout =
                channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
            const at::Tensor student = at::randn(shape).contiguous(layout).requires_grad_();
            const at::Tensor teacher = at::randn(shape).contiguous(layout);
            return Calls(40, student, [=] {
              return Must(ops::torch::AttentionTransfer(student, Must(ops::torch::ActivationMap(teacher, {})), {}));
            });
          }};
}

Case CrossEntropyKl(int64_t classes, bool eager) {
  return {absl::StrCat(eager ? "eager_" : "", "ce_kl_", classes), [=] {
            const at::Tensor student = at::randn({128, classes}).requires_grad_();
            const at::Tensor teacher = at::randn({128, classes}), labels = at::randint(classes, {128}, at::kLong);
            return Calls(500, student, [=] {
              if (!eager) return Must(ops::torch::CrossEntropyKl(student, labels, teacher, {0, 4, 0.1f, 0.9f})).total;
              const at::Tensor soft =
                  at::kl_div(at::log_softmax(student.div(4), 1), at::softmax(teacher.div(4), 1), at::Reduction::Sum)
                      .mul(16.0 / 128);
              return at::cross_entropy_loss(student, labels).mul(0.1).add(soft.mul(0.9));
            });
          }};
}

const char* const kCrop = "crop { pad: 4 }";
const char* const kFlip = "flip {}";
const char* const kCutout = "cutout { size: 8 }";

std::vector<Case> Cases(const std::string& folder) {
  return {
      {"C2",
       [folder] {
         const auto pixels = std::make_shared<std::string>(ReadFile(folder + "/photos.u8"));
         return PhotoPass([pixels](int i, const Draw& draw) {
           auto* photo = reinterpret_cast<uint8_t*>(&(*pixels)[size_t{kHeight} * kWidth * 3 * static_cast<size_t>(i)]);
           return View{Buffer<uint8_t, 3>(photo, 3, kWidth, kHeight), draw(kHeight, kWidth)};
         });
       }},
      {"C3",
       [folder] {
         auto files = std::make_shared<std::vector<std::string>>();
         for (int i = 0; i < kPhotos; ++i) files->push_back(ReadFile(absl::StrCat(folder, "/", i, ".jpg")));
         auto decoded = std::make_shared<std::vector<ops::Image>>(kPhotoBatch);
         return PhotoPass([files, decoded](int i, const Draw& draw) {
           const absl::Span<const uint8_t> bytes = Bytes((*files)[static_cast<size_t>(i)]);
           const ops::ImageSize size = Must(ops::ReadImageSize(bytes));
           ops::CropResizeParams params = draw(size.height, size.width);
           ops::DecodeOptions options;
           options.region = {params.top, params.left, params.height, params.width};
           ops::Image& image = (*decoded)[static_cast<size_t>(i % kPhotoBatch)];
           image = Must(ops::DecodeImage(bytes, options));
           params.top -= image.top;
           params.left -= image.left;
           return View{Buffer<uint8_t, 3>(image.pixels.data(), 3, image.width, image.height), params};
         });
       }},
      {"C1",
       [] {
         return Pass(1, {kCrop, kFlip, kCutout});
       }},
      {"C1_crop_flip",
       [] {
         return Pass(1, {kCrop, kFlip});
       }},
      {"AA",
       [] {
         return Pass(1, {kCrop, kFlip, "auto_augment {}"});
       }},
      AttentionTransfer("a", {128, 64, 16, 16}, false),
      AttentionTransfer("a", {128, 64, 16, 16}, true),
      AttentionTransfer("b", {128, 16, 32, 32}, false),
      AttentionTransfer("b", {128, 16, 32, 32}, true),
      AttentionTransfer("c", {64, 256, 14, 14}, false),
      AttentionTransfer("c", {64, 256, 14, 14}, true),
      CrossEntropyKl(10, false),
      CrossEntropyKl(100, false),
      CrossEntropyKl(1000, false),
      CrossEntropyKl(10, true),
      CrossEntropyKl(100, true),
      CrossEntropyKl(1000, true),
      {"C1b",
       [] {
         return Pass(2, {kCrop, kFlip, kCutout});
       }},
      {"C4_torch_data",
       [] {
         return [] {
           at::set_num_threads(1);
           constexpr int64_t kSome = 5000;
           return Timed(kSome, [] { TorchDataPass(Images().images, kSome); });
         };
       }},
  };
}

}  // namespace
}  // namespace retort::bench

int main(int argc, char** argv) {
  retort::nn::ConfigureRuntime(2);
  return retort::bench::TakeTurns(retort::bench::Cases(argc > 1 ? argv[1] : "."));
}
