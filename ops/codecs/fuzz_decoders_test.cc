// Files with faults at random: none may do more than be refused. Worth most with --config=asan and --config=ubsan.
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "retort/ops/codecs/encode_png.h"
#include "retort/ops/codecs/encoded_fixtures.h"
#include "retort/testing/fuzz/mutated.h"
#include "retort/testing/fuzz/seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace retort::ops {
namespace {

constexpr int kRounds = 2000;
// Where formats have what decides how the rest is read.
constexpr size_t kHead = 200;

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
      const std::string mutated = testing::Mutated(file, files[random() % files.size()], kHead, random);
      // Exactly as many bytes, so that a sanitizer sees what is read beyond them.
      const std::vector<uint8_t> bytes(mutated.begin(), mutated.end());
      ASSERT_EQ(LLVMFuzzerTestOneInput(bytes.data(), bytes.size()), 0);
    }
  }
}

}  // namespace
}  // namespace retort::ops
