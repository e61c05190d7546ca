#include "retort/tools/bench/torch_data_peer.h"

#include <memory>
#include <utility>

#include "torch/data.h"

namespace retort::bench {
namespace {

class Images : public ::torch::data::datasets::Dataset<Images> {
 public:
  Images(absl::Span<const uint8_t> images, int64_t size)
      : images_(::torch::from_blob(const_cast<uint8_t*>(images.data()), {size, 32, 32, 3}, ::torch::kByte)),
        mean_(::torch::tensor({0.4914f, 0.4822f, 0.4465f}).view({3, 1, 1})),
        std_(::torch::tensor({0.247f, 0.2435f, 0.2616f}).view({3, 1, 1})) {}

  ::torch::data::Example<> get(size_t i) override {
    ::torch::Tensor image = images_[static_cast<int64_t>(i)].permute({2, 0, 1}).to(::torch::kFloat).div_(255);
    image = ::torch::constant_pad_nd(image, {4, 4, 4, 4});
    const auto draw = [](int64_t n) { return ::torch::randint(n, {1}).item<int64_t>(); };
    image = image.slice(1, draw(9)).slice(1, 0, 32).slice(2, draw(9)).slice(2, 0, 32);
    if (draw(2) == 1) image = image.flip(2);
    image = image.sub(mean_).div_(std_);
    const int64_t y = draw(32), x = draw(32);
    image.slice(1, std::max<int64_t>(y - 4, 0), y + 4).slice(2, std::max<int64_t>(x - 4, 0), x + 4).zero_();
    return {image, ::torch::tensor(int64_t{0})};
  }
  std::optional<size_t> size() const override { return static_cast<size_t>(images_.size(0)); }

 private:
  ::torch::Tensor images_, mean_, std_;
};

}  // namespace

int64_t TorchDataPass(absl::Span<const uint8_t> images, int64_t size) {
  auto loader = ::torch::data::make_data_loader<::torch::data::samplers::RandomSampler>(
      Images(images, size).map(::torch::data::transforms::Stack<>()), 128);
  int64_t seen = 0;
  for (const auto& batch : *loader) seen += batch.data.size(0);
  return seen;
}

}  // namespace retort::bench
