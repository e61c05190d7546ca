// Reads cases from standard input and writes what Augment makes of them, for oracles in other languages.
//
// A case is 40 bytes and pixels, little-endian: name (16 bytes, filled up with zeros), i32 height, width, channels, a
// gap of 4 bytes, f64 parameter; then height * width * channels bytes. What comes back is that many bytes.
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

namespace retort::ops {
namespace {

struct Header {
  char name[16];
  int32_t height, width, channels, gap;
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

int Main() {
  Header header;
  while (std::cin.read(reinterpret_cast<char*>(&header), sizeof(header))) {
    std::vector<uint8_t> pixels(static_cast<size_t>(header.height * header.width * header.channels));
    std::cin.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
    AugmentRecord record = RecordOf(header);
    Halide::Runtime::Buffer<uint8_t, 4> images(pixels.data(), header.channels, header.width, header.height, 1);
    Halide::Runtime::Buffer<int32_t, 3> records(reinterpret_cast<int32_t*>(&record), kAugmentRecordWords, 1, 1);
    if (const absl::Status status = Augment(images, records, images); !status.ok()) {
      std::cerr << std::string(header.name, sizeof(header.name)) << ": " << status << std::endl;
      return 1;
    }
    std::cout.write(reinterpret_cast<const char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
  }
  return 0;
}

}  // namespace
}  // namespace retort::ops

int main() { return retort::ops::Main(); }
