#include "retort/data/policies/apply_policy.h"

#include <algorithm>
#include <vector>

#include "HalideBuffer.h"

#include "retort/data/io/status_macros.h"
#include "retort/ops/augment/augment.h"
#include "retort/ops/augment/augment_record.h"
#include "retort/ops/augment/mix_images.h"

namespace retort::data {
namespace {

using ::Halide::Runtime::Buffer;

// Images one after another, each with as many steps.
absl::Status Augment(std::vector<ops::AugmentRecord>& records, int steps, int images, int height, int width,
                     int channels, uint8_t* pixels) {
  Buffer<uint8_t, 4> buffer(pixels, channels, width, height, images);
  Buffer<int32_t, 3> record_buffer(reinterpret_cast<int32_t*>(records.data()), ops::kAugmentRecordWords, steps, images);
  return ops::Augment(buffer, record_buffer, buffer);
}

}  // namespace

absl::Status ApplyPolicy(const AugmentPolicy& policy, uint64_t seed, absl::Span<const ImageView> views, int64_t height,
                         int64_t width, int64_t channels, uint8_t* pixels) {
  // With aug_mix an image is followed by its chains; the image itself has no step.
  const size_t sources = policy.mixes() ? static_cast<size_t>(policy.chains()) + 1 : 1;
  const size_t steps = static_cast<size_t>(policy.longest_chain());
  std::vector<ops::AugmentRecord> records(views.size() * sources * steps);
  std::vector<float> weights;
  for (size_t i = 0; i < views.size(); ++i) {
    const AugmentPolicy::Drawn drawn = policy.Draw(seed, views[i].image, views[i].view, height, width);
    auto record = records.begin() + static_cast<ptrdiff_t>((i * sources + (policy.mixes() ? 1 : 0)) * steps);
    for (const std::vector<AugmentChoice>& chain : drawn.chains) {
      std::transform(chain.begin(), chain.end(), record,
                     [&](const AugmentChoice& choice) { return RecordOf(choice, height, width); });
      record += static_cast<ptrdiff_t>(steps);
    }
    weights.insert(weights.end(), drawn.weights.begin(), drawn.weights.end());
  }
  const int h = static_cast<int>(height), w = static_cast<int>(width), c = static_cast<int>(channels);
  const int batch = static_cast<int>(views.size()), all = static_cast<int>(views.size() * sources);
  if (!policy.mixes()) return Augment(records, static_cast<int>(steps), all, h, w, c, pixels);

  const size_t image = static_cast<size_t>(height * width * channels);
  std::vector<uint8_t> copies(views.size() * sources * image);
  for (size_t i = 0; i < views.size(); ++i) {
    for (size_t k = 0; k < sources; ++k)
      std::copy_n(pixels + i * image, image, copies.data() + (i * sources + k) * image);
  }
  RETORT_RETURN_IF_ERROR(Augment(records, static_cast<int>(steps), all, h, w, c, copies.data()));
  return ops::MixImages(Buffer<uint8_t, 3>(copies.data(), static_cast<int>(image), static_cast<int>(sources), batch),
                        Buffer<float, 2>(weights.data(), static_cast<int>(sources), batch),
                        Buffer<uint8_t, 2>(pixels, static_cast<int>(image), batch));
}

}  // namespace retort::data
