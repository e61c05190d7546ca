#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/data/io/file.h"
#include "retort/data/views/view_plan.h"
#include "retort/ops/codecs/decode_image.h"
#include "retort/ops/codecs/encoded_fixtures.h"
#include "retort/ops/codecs/image.h"
#include "retort/testing/subprocess.h"
#include "retort/tools/apply/apply.pb.h"

namespace retort::tools {
namespace {

using ::testing::HasSubstr;

testing::Finished Apply(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "tools/apply/apply");
  return testing::RunProgram(arguments);
}

std::string Temporary(const std::string& name) { return absl::StrCat(std::getenv("TEST_TMPDIR"), "/", name); }

ops::Image Decode(const std::string& path) {
  const std::string bytes = data::ReadFile(path).value();
  return ops::DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}).value();
}

constexpr char kImage[] = "procedural:train:3";

TEST(ApplyTest, WithoutChangeCopies) {
  const std::string out = Temporary("same.png"), again = Temporary("again.png");
  EXPECT_EQ(Apply({"--op=identity", kImage, out}).exit_code, 0);
  EXPECT_EQ(Apply({"--op=identity", out, again}).exit_code, 0);
  EXPECT_EQ(Decode(out).height, 32);
  EXPECT_EQ(Decode(out).pixels, Decode(again).pixels);
}

TEST(ApplyTest, ReadsJpegAndWebP) {
  for (const auto& [name, bytes] :
       {std::pair{"cat.jpg", ops::EncodeJpeg(21, 30)}, {"cat.webp", ops::EncodeWebP(21, 30, /*lossless=*/false)}}) {
    const std::string in = Temporary(name), out = Temporary("decoded.png");
    std::ofstream(in, std::ios::binary) << bytes;
    EXPECT_EQ(Apply({"--op=identity", in, out}).exit_code, 0) << name;
    EXPECT_EQ(Decode(out).width, 30);
    EXPECT_EQ(Decode(out).pixels, Decode(in).pixels) << name;
  }
}

TEST(ApplyTest, ReadsImagesOfCifar10) {
  const std::string folder = Temporary("cifar-10-batches-bin");
  ASSERT_TRUE(data::MakeDirectories(folder).ok());
  // Label, then planes of red, green, blue. What follows the fourth record is zero, and takes no room on disk.
  std::string records(3 * 3073, '\0');
  records += '\7';
  for (const int plane : {0, 1, 2}) {
    for (int i = 0; i < 1024; ++i) records += static_cast<char>(plane * 50 + i % 40);
  }
  for (const char* const name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                                 "data_batch_5.bin", "test_batch.bin"}) {
    const std::string path = absl::StrCat(folder, "/", name);
    std::ofstream(path, std::ios::binary) << records;
    ASSERT_EQ(truncate(path.c_str(), 30730000), 0);
  }
  std::ofstream(folder + "/batches.meta.txt")
      << "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n";
  const std::string out = Temporary("cifar.png");
  const testing::Finished finished =
      Apply({"--op=identity", absl::StrCat("--data_dir=", Temporary("")), "cifar10:train:3", out});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const ops::Image image = Decode(out);
  ASSERT_EQ(image.pixels.size(), 3072u);
  for (size_t i = 0; i < 3072; ++i) ASSERT_EQ(image.pixels[i], i % 3 * 50 + i / 3 % 40) << i;
}

TEST(ApplyTest, InvertsByHand) {
  const std::string plain = Temporary("plain.png"), inverted = Temporary("inverted.png");
  Apply({"--op=identity", kImage, plain});
  EXPECT_EQ(Apply({"--op=invert", plain, inverted}).exit_code, 0);
  std::vector<uint8_t> expected = Decode(plain).pixels;
  for (uint8_t& value : expected) value = static_cast<uint8_t>(255 - value);
  EXPECT_EQ(Decode(inverted).pixels, expected);
}

TEST(ApplyTest, DrawsByNumberSeedAndView) {
  const auto draw = [](std::vector<std::string> flags) {
    flags.insert(
        flags.begin(),
        {"--augment=step { crop {} } step { flip {} } step { auto_augment {} } step { cutout {} }", "--params_json"});
    const testing::Finished finished = Apply(flags);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  };
  const std::string drawn = draw({kImage});
  const nlohmann::json json = nlohmann::json::parse(drawn);
  EXPECT_TRUE(json.contains("crop") && json.contains("flip") && json.contains("policies") && json.contains("erase"));
  EXPECT_EQ(draw({kImage}), drawn);
  EXPECT_EQ(draw({"--index=3", "procedural:train:9"}), drawn);
  EXPECT_NE(draw({"procedural:train:9"}), drawn);
  EXPECT_NE(draw({"--seed=1", kImage}), drawn);
  EXPECT_NE(draw({"--view=1", kImage}), drawn);
}

// The numbers are those that were applied: f32 to the last digit, and shifts that explain every pixel.
TEST(ApplyTest, PrintsWhatWasDrawn) {
  const std::string plain = Temporary("plain.png"), out = Temporary("cropped.png");
  Apply({"--op=identity", kImage, plain});
  const testing::Finished jitter =
      Apply({"--augment=step { color_jitter { brightness { min: 0.7 max: 0.7 } } }", "--params_json", plain});
  EXPECT_THAT(jitter.out, HasSubstr("\"argument\":0.699999988"));
  const nlohmann::json choice = nlohmann::json::parse(jitter.out)["policies"][0]["chains"][0][0];
  EXPECT_EQ(choice["op"], "brightness");
  EXPECT_EQ(choice["argument"].get<double>(), static_cast<double>(0.7f));

  const std::vector<uint8_t> pixels = Decode(plain).pixels;
  int flips = 0;
  for (const std::string view : {"0", "1", "2", "3", "4", "5"}) {
    const testing::Finished finished =
        Apply({"--augment=step { crop { pad: 4 } } step { flip {} } step { cutout { size: 9 } }", "--params_json",
               "--view=" + view, plain, out});
    const nlohmann::json drawn = nlohmann::json::parse(finished.out), erase = drawn["erase"];
    const bool flip = drawn["flip"];
    flips += flip ? 1 : 0;
    const int dy = drawn["crop"]["dy"], dx = drawn["crop"]["dx"];
    const std::vector<uint8_t> cropped = Decode(out).pixels;
    for (int i = 0; i < 3072; ++i) {
      const int c = i % 3, x = i / 3 % 32, y = i / 96;
      const bool erased = y >= erase["top"] && y < erase["bottom"] && x >= erase["left"] && x < erase["right"];
      const int from_y = y + dy, from_x = (flip ? 31 - x : x) + dx;
      const bool inside = from_y >= 0 && from_y < 32 && from_x >= 0 && from_x < 32;
      const int expected = erased || !inside ? 0 : pixels[static_cast<size_t>((from_y * 32 + from_x) * 3 + c)];
      ASSERT_EQ(cropped[static_cast<size_t>(i)], expected) << finished.out << i;
    }
  }
  EXPECT_GT(flips, 0);
  EXPECT_LT(flips, 6);
}

TEST(ApplyTest, GridHoldsTheViews) {
  const std::string steps = "--augment=step { crop {} } step { auto_augment {} }", sheet = Temporary("sheet.png"),
                    view = Temporary("view.png");
  EXPECT_EQ(Apply({steps, "--grid=5", kImage, sheet}).exit_code, 0);
  EXPECT_EQ(Apply({steps, "--view=4", kImage, view}).exit_code, 0);
  const ops::Image all = Decode(sheet), one = Decode(view);
  ASSERT_EQ(all.width, 3 * 32 + 2 * 2);
  ASSERT_EQ(all.height, 2 * 32 + 2);
  for (size_t y = 0; y < 32; ++y) {
    const auto* row = &all.pixels[((34 + y) * 100 + 34) * 3];
    EXPECT_EQ(std::vector<uint8_t>(row, row + 96), std::vector<uint8_t>(&one.pixels[y * 96], &one.pixels[y * 96] + 96));
  }
}

TEST(ApplyTest, ResizesPhotographs) {
  const std::string out = Temporary("resized.png");
  const testing::Finished finished =
      Apply({"--augment=step { random_resized_crop { size: 48 } } step { flip {} }", "--params_json", kImage, out});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const nlohmann::json box = nlohmann::json::parse(finished.out)["box"];
  EXPECT_GE(box["top"], 0);
  EXPECT_GE(box["left"], 0);
  EXPECT_LE(box["top"].get<int>() + box["height"].get<int>(), 32);
  EXPECT_LE(box["left"].get<int>() + box["width"].get<int>(), 32);
  EXPECT_EQ(Decode(out).height, 48);

  const testing::Finished whole =
      Apply({"--augment=step { resize { size: 20 } } step { center_crop { size: 12 } }", "--params_json", kImage, out});
  EXPECT_EQ(nlohmann::json::parse(whole.out),
            nlohmann::json::parse(R"({"box": {"top": 0, "left": 0, "height": 32, "width": 32}, "flip": false,
                                      "resized": {"height": 20, "width": 20}, "window": {"top": 4, "left": 4}})"));
  EXPECT_EQ(Decode(out).width, 12);
}

// Number `i` of a sheet of six views.
std::vector<uint8_t> Cell(const ops::Image& sheet, int i) {
  const int size = (sheet.width - 4) / 3;
  std::vector<uint8_t> pixels;
  for (int y = 0; y < size; ++y) {
    const auto row = sheet.pixels.begin() + ((i / 3 * (size + 2) + y) * sheet.width + i % 3 * (size + 2)) * 3;
    pixels.insert(pixels.end(), row, row + size * 3);
  }
  return pixels;
}

// Images 3 and 1 of a data set are mixed as the definition in ops/batch_assembly says of the views they have without
// mixing and of the numbers that are printed, and as a training mixes them.
TEST(ApplyTest, MixesThePairsOfATraining) {
  const std::string in = Temporary("own.png"), partner = Temporary("partner.png"), out = Temporary("mixed.png");
  Apply({"--op=identity", kImage, in});
  Apply({"--op=identity", "procedural:train:7", partner});
  std::vector<uint8_t> images(3072);
  for (const std::string& path : {partner, partner, in}) {
    const std::vector<uint8_t> pixels = Decode(path).pixels;
    images.insert(images.end(), pixels.begin(), pixels.end());
  }
  const data::Dataset dataset = data::MakeDataset(images, {0, 0, 0, 0}, 32, 32, 3, {"x"}).value();

  int mixups = 0, cut_mixes = 0, unmixed = 0;
  for (const std::string& steps :
       {std::string("step { flip { probability: 0 } } "),
        std::string("step { crop {} } step { flip {} } step { cutout {} } "),
        std::string("step { random_resized_crop { size: 20 } } step { rand_augment {} } ")}) {
    const std::string mixing =
        steps + "step { mixup { alpha: 1 probability: 0.4 } } step { cut_mix { probability: 0.4 } }";
    config::AugmentSteps message;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(mixing, &message));
    const data::Batcher batcher = data::Batcher::Create(&dataset, data::ViewPlan::Create(message.step(), 5).value(),
                                                        {{0, 0, 0}, {1, 1, 1}}, data::Batcher::Layout::kChannelsLast)
                                      .value();
    const data::Batch batch = batcher.Assemble({3, 1}, {0, 1, 2, 3, 4, 5}).value();

    const auto sheet = [&out](std::vector<std::string> flags) {
      flags.insert(flags.begin(), {"--seed=5", "--grid=6", "--params_json"});
      flags.push_back(out);
      const testing::Finished finished = Apply(flags);
      EXPECT_EQ(finished.exit_code, 0) << finished.err;
      std::vector<nlohmann::json> params;
      for (absl::string_view line : absl::StrSplit(finished.out, '\n', absl::SkipEmpty())) {
        params.push_back(nlohmann::json::parse(line));
      }
      EXPECT_EQ(params.size(), 6u);
      params.resize(6);
      return std::pair{params, Decode(out)};
    };
    const auto [own_params, own] = sheet({"--augment=" + steps, "--index=3", in});
    const auto [other_params, other] = sheet({"--augment=" + steps, "--index=1", partner});
    const auto [params, mixed] =
        sheet({"--augment=" + mixing, "--index=3", "--partner=" + partner, "--partner_index=1", in});
    for (int view = 0; view < 6; ++view) {
      nlohmann::json drawn = params[static_cast<size_t>(view)];
      EXPECT_EQ(drawn["partner"], other_params[static_cast<size_t>(view)]);
      const nlohmann::json mix = drawn["mix"], box = mix["box"];
      drawn.erase("partner");
      drawn.erase("mix");
      EXPECT_EQ(drawn, own_params[static_cast<size_t>(view)]);
      const double lambda = mix["lambda"];
      const int height = box["bottom"].get<int>() - box["top"].get<int>(),
                width = box["right"].get<int>() - box["left"].get<int>();
      (height * width > 0 ? cut_mixes : lambda < 1 ? mixups : unmixed) += 1;
      const std::vector<uint8_t> one = Cell(own, view), two = Cell(other, view), both = Cell(mixed, view);
      const int size = steps.find("resized") == std::string::npos ? 32 : 20;
      ASSERT_EQ(both.size(), static_cast<size_t>(size * size * 3));
      EXPECT_NEAR(mix["label"].get<double>(), lambda - height * width / double(size * size), 1e-6);
      EXPECT_EQ(batch.lambda[view][0].item<float>(), mix["label"].get<float>());
      const at::Tensor trained = batch.images[view][0].permute({1, 2, 0}).contiguous();
      for (size_t i = 0; i < both.size(); ++i) {
        const int x = static_cast<int>(i) / 3 % size, y = static_cast<int>(i) / 3 / size;
        const bool inside = y >= box["top"] && y < box["bottom"] && x >= box["left"] && x < box["right"];
        const double expected = inside ? two[i] : lambda * one[i] + (1 - lambda) * two[i];
        ASSERT_NEAR(both[i], expected, 0.5001) << mixing << mix << i;
        ASSERT_NEAR(255 * trained.const_data_ptr<float>()[i], expected, 1e-3) << mixing << i;
      }
    }
  }
  EXPECT_GT(mixups, 2);
  EXPECT_GT(cut_mixes, 2);
  EXPECT_GT(unmixed, 0);
}

TEST(ApplyTest, PartnersHaveOneSize) {
  const std::string small = Temporary("small.png");
  Apply({"--augment=step { random_resized_crop { size: 20 } }", kImage, small});
  const testing::Finished finished = Apply({"--augment=step { mixup {} }", "--partner", small, kImage, "o.png"});
  EXPECT_EQ(finished.exit_code, 78);
  EXPECT_THAT(finished.err, HasSubstr("the image has 32 x 32 pixels, but --partner has 20 x 20; give two of one size"));
}

TEST(ApplyTest, Benchmarks) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--op=rotate", "--argument=20", "--benchmark", kImage},
        {"--augment=step { cutout { size: 8 } }", "--benchmark", kImage}}) {
    const testing::Finished finished = Apply(flags);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr(" images/s, one image a call, 1 thread"));
  }
}

struct BadCall {
  std::string name;
  std::vector<std::string> arguments;
  int exit_code;
  std::string message;
};

class BadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(BadCallTest, IsRefused) {
  const testing::Finished finished = Apply(GetParam().arguments);
  EXPECT_EQ(finished.exit_code, GetParam().exit_code);
  EXPECT_THAT(finished.err, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, BadCallTest,
    ::testing::Values(
        BadCall{"NothingToDo", {kImage, "out.png"}, 64, "give either --augment or --op"},
        BadCall{"NoOutput", {"--op=invert", kImage}, 64, "give IN and OUT.png"},
        BadCall{
            "UnknownOp", {"--op=sparkle", kImage, "o.png"}, 78, "--op=sparkle is unknown; permitted: identity, she"},
        BadCall{"UnknownStep", {"--augment=step { crpo {} }", kImage, "o.png"}, 78, "--augment:1:8: "},
        BadCall{"BadNumber", {"--augment=step { crop { pad: -1 } }", kImage, "o.png"}, 78, "crop.pad is -1"},
        BadCall{"BadArgument", {"--op=rotate", "--argument=nan", kImage, "o.png"}, 78, "record"},
        BadCall{"NoPartner", {"--augment=step { cut_mix {} }", kImage, "o.png"}, 78, "name it with --partner"},
        BadCall{"PartnerOfNone",
                {"--augment=step { flip {} }", "--partner=procedural:train:7", kImage, "o.png"},
                78,
                "no step mixes the image with --partner; leave it out"},
        BadCall{"PartnerOfAnOp",
                {"--op=invert", "--partner=procedural:train:7", kImage, "o.png"},
                64,
                "--partner is for steps that mix; give --augment"},
        BadCall{"PartnerIndexAlone",
                {"--augment=step { flip {} }", "--partner_index=3", kImage, "o.png"},
                64,
                "give --partner, too"},
        BadCall{"NoPartnerFile",
                {"--augment=step { mixup {} }", "--partner=/nowhere/dog.jpg", kImage, "o.png"},
                66,
                "/nowhere/dog.jpg"},
        BadCall{"NoFile", {"--op=invert", "/nowhere/cat.jpg", "o.png"}, 66, "/nowhere/cat.jpg"},
        BadCall{"NoSuchImage", {"--op=invert", "procedural:test:99999999", "o.png"}, 78, "test has images 0.."},
        BadCall{"NoSplit", {"--op=invert", "procedural:3", "o.png"}, 78, "write it as procedural:train:123"},
        BadCall{"NotAnImage", {"--op=invert", "tools/apply/apply", "o.png"}, 78, "tools/apply/apply: "}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::tools
