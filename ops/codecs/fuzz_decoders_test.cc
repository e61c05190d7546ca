// Files with faults at random: none may do more than be refused. Worth most with --config=asan and --config=ubsan.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "retort/ops/codecs/encode_png.h"
#include "retort/ops/codecs/encoded_fixtures.h"
#include "retort/testing/fuzz/seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace retort::ops {
namespace {

constexpr int kRounds = 2000;

std::string Mutated(std::string bytes, const std::string& other, std::mt19937& random) {
  const auto below = [&](size_t end) { return static_cast<size_t>(random()) % end; };
  for (size_t faults = 1 + below(4); faults > 0 && !bytes.empty(); --faults) {
    const size_t at = below(3) == 0 ? below(bytes.size()) : below(std::min<size_t>(bytes.size(), 200));
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes[at] = static_cast<char>(below(2) == 0 ? 0xff : 0);
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.erase(at, below(20));
        break;
      case 5:
        bytes.insert(at, other, below(other.size()), below(60));
        break;
    }
  }
  return bytes;
}

TEST(FuzzDecodersTest, NoFaultDoesHarm) {
  std::vector<std::string> files = {EncodeJpeg(20, 30),
                                    EncodeJpeg(33, 17, JpegKind::kProgressive),
                                    EncodeJpeg(20, 30, JpegKind::kGrey),
                                    EncodeJpeg(20, 30, JpegKind::kCmyk),
                                    EncodeJpeg(33, 17, JpegKind::kCoarse),
                                    EncodeJpeg(20, 30, JpegKind::kColor422),
                                    EncodeJpeg(20, 30, JpegKind::kThreeScans),
                                    EncodeJpeg(20, 30, JpegKind::kArithmetic),
                                    EncodeJpeg(20, 30, JpegKind::kRestarts),
                                    EncodeInterlacedPng(20, 30),
                                    EncodeWebP(20, 30, true),
                                    EncodeWebP(20, 30, false)};
  for (const int channels : {1, 3, 4}) {
    files.push_back(EncodePng(SmoothPixels(20, 30, channels), 20, 30, channels).value());
  }
  testing::KeepFuzzSeeds(files);
  std::mt19937 random(1);
  for (int round = 0; round < kRounds; ++round) {
    for (const std::string& file : files) {
      const std::string mutated = Mutated(file, files[random() % files.size()], random);
      // Exactly as many bytes, so that a sanitizer sees what is read beyond them.
      const std::vector<uint8_t> bytes(mutated.begin(), mutated.end());
      ASSERT_EQ(LLVMFuzzerTestOneInput(bytes.data(), bytes.size()), 0);
    }
  }
}

}  // namespace
}  // namespace retort::ops
