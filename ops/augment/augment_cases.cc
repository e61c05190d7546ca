// Reads cases from standard input and writes what Augment and MixImages make of them, for oracles in other languages.
//
// A case is 40 bytes and pixels, little-endian: name (16 bytes, filled up with zeros), i32 height, width, channels and
// number of images to mix, f64 parameter; then height * width * channels bytes. Where there are images to mix, f32
// weights of each come first, and then the bytes of all. What comes back is one image.
#include <cstdint>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/status.h"

#include "retort/ops/augment/augment.h"
#include "retort/ops/augment/augment_record.h"
#include "retort/ops/augment/mix_images.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;

struct Header {
  char name[16];
  int32_t height, width, channels, images;
  double parameter;
};
static_assert(sizeof(Header) == 40);

AugmentRecord RecordOf(const Header& header) {
  static const auto* const makers = new std::map<std::string, std::function<AugmentRecord(const Header&)>>{
      {"identity", [](const Header&) { return AugmentRecord::Identity(); }},
      {"shear_x", [](const Header& h) { return AugmentRecord::ShearX(h.parameter); }},
      {"shear_y", [](const Header& h) { return AugmentRecord::ShearY(h.parameter); }},
      {"translate_x", [](const Header& h) { return AugmentRecord::TranslateX(static_cast<int>(h.parameter)); }},
      {"translate_y", [](const Header& h) { return AugmentRecord::TranslateY(static_cast<int>(h.parameter)); }},
      {"rotate", [](const Header& h) { return AugmentRecord::Rotate(h.parameter, h.height, h.width); }},
      {"brightness", [](const Header& h) { return AugmentRecord::Brightness(h.parameter); }},
      {"color", [](const Header& h) { return AugmentRecord::Color(h.parameter); }},
      {"contrast", [](const Header& h) { return AugmentRecord::Contrast(h.parameter); }},
      {"sharpness", [](const Header& h) { return AugmentRecord::Sharpness(h.parameter); }},
      {"posterize", [](const Header& h) { return AugmentRecord::Posterize(static_cast<int>(h.parameter)); }},
      {"solarize", [](const Header& h) { return AugmentRecord::Solarize(h.parameter); }},
      {"autocontrast", [](const Header&) { return AugmentRecord::Autocontrast(); }},
      {"equalize", [](const Header&) { return AugmentRecord::Equalize(); }},
      {"invert", [](const Header&) { return AugmentRecord::Invert(); }},
      {"hue", [](const Header& h) { return AugmentRecord::Hue(h.parameter); }},
  };
  const auto maker = makers->find(std::string(header.name, strnlen(header.name, sizeof(header.name))));
  return maker == makers->end() ? AugmentRecord{.kind = AugmentKind::kInvalid} : maker->second(header);
}

template <typename T>
std::vector<T> Read(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  std::cin.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

// What the case asks for, into `image`.
absl::Status Answer(const Header& header, std::vector<uint8_t>& image) {
  const int64_t values = int64_t{header.height} * header.width * header.channels;
  if (header.images > 0) {
    std::vector<float> weights = Read<float>(header.images);
    std::vector<uint8_t> images = Read<uint8_t>(header.images * values);
    image.resize(static_cast<size_t>(values));
    return MixImages(Buffer<uint8_t, 3>(images.data(), static_cast<int>(values), header.images, 1),
                     Buffer<float, 2>(weights.data(), header.images, 1),
                     Buffer<uint8_t, 2>(image.data(), static_cast<int>(values), 1));
  }
  image = Read<uint8_t>(values);
  AugmentRecord record = RecordOf(header);
  Buffer<uint8_t, 4> images(image.data(), header.channels, header.width, header.height, 1);
  return Augment(images, Buffer<int32_t, 3>(reinterpret_cast<int32_t*>(&record), kAugmentRecordWords, 1, 1), images);
}

int Main() {
  Header header;
  std::vector<uint8_t> image;
  while (std::cin.read(reinterpret_cast<char*>(&header), sizeof(header))) {
    if (const absl::Status status = Answer(header, image); !status.ok()) {
      std::cerr << std::string(header.name, sizeof(header.name)) << ": " << status << std::endl;
      return 1;
    }
    std::cout.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  }
  return 0;
}

}  // namespace
}  // namespace retort::ops

int main() { return retort::ops::Main(); }
