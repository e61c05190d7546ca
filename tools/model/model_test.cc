#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "ATen/Context.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/allclose.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/build_model.h"
#include "retort/nn/key_maps/key_map.h"
#include "retort/nn/weights.h"
#include "retort/ops/codecs/encode_png.h"
#include "retort/testing/subprocess.h"

namespace retort::tools {
namespace {

using ::testing::HasSubstr;

testing::Finished RunTool(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "tools/model/model");
  return testing::RunProgram(arguments);
}

std::string Temporary(const std::string& name) { return absl::StrCat(std::getenv("TEST_TMPDIR"), "/", name); }

constexpr char kModel[] = "light_nn { hidden: 20 }";

// Its weights are in the file `weights`.
std::unique_ptr<nn::Model> SavedModel(const std::string& weights, const std::map<std::string, std::string>& metadata) {
  config::Model config;
  config.mutable_light_nn()->set_hidden(20);
  std::unique_ptr<nn::Model> model = nn::BuildModel(config, {}, /*seed=*/3, /*channels_last=*/false).value();
  EXPECT_TRUE(nn::SaveModel(weights, *model, metadata).ok());
  model->SetTraining(false);
  return model;
}

at::Tensor ReadF32(const std::string& path, const std::string& name) {
  const data::SafetensorsFile file = data::SafetensorsFile::Open(path).value();
  const data::TensorView view = file.Find(name).value();
  EXPECT_EQ(view.dtype, data::DType::kF32);
  const at::Tensor tensor = at::empty(view.shape);
  std::copy(view.bytes.begin(), view.bytes.end(), static_cast<uint8_t*>(tensor.mutable_data_ptr()));
  return tensor;
}

TEST(ModelToolTest, PrintsLayersAndSums) {
  const testing::Finished finished = RunTool({"--model=light_nn { }"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out,
              HasSubstr("features.0    conv2d max_pool2d relu_          [1,16,16,16]         448    442,368"));
  EXPECT_THAT(finished.out, HasSubstr("267,738  1,296,896"));
  EXPECT_THAT(finished.out, HasSubstr("conv1                 [1,16,16,16]"));
}

TEST(ModelToolTest, PrintsJsonOfTheShapeThatFlagsGive) {
  const testing::Finished finished =
      RunTool({"--model=light_nn { }", "--json", "--height=64", "--width=16", "--channels=1", "--classes=7"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const nlohmann::json json = nlohmann::json::parse(finished.out);
  ASSERT_EQ(json["layers"].size(), 4u);
  EXPECT_EQ(json["layers"][0]["layer"], "features.0");
  EXPECT_EQ(json["layers"][0]["macs"], 64 * 16 * 16 * 9);
  EXPECT_EQ(json["layers"][3]["output_shape"], nlohmann::json({1, 7}));
  EXPECT_EQ(json["outputs"][0]["name"], "logits");
  EXPECT_EQ(json["outputs"][1]["shape"], nlohmann::json({1, 1024}));
}

TEST(ModelToolTest, FindsTheModelOfAStage) {
  const std::string path = Temporary("two.textproto");
  std::ofstream(path) << R"(name: "two"
      stage { name: "images" ingest { procedural { } } }
      stage { name: "big" finetune { data: "images" model { deep_nn { } } objective { term { cross_entropy { } } }
              train { epochs: 1 optimizer { adam { } } } } }
      stage { name: "small" finetune { data: "images" model { light_nn { } } objective { term { cross_entropy { } } }
              train { epochs: 1 optimizer { adam { } } } } })";
  const testing::Finished finished = RunTool({"--config=" + path, "--stage=small", "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(nlohmann::json::parse(finished.out)["parameters"], 267738);
  const testing::Finished which = RunTool({"--config=" + path});
  EXPECT_EQ(which.exit_code, 78);
  EXPECT_THAT(which.err, HasSubstr("say which stage by --stage; stages with a model: big, small"));
}

TEST(ModelToolTest, ConvertsTypesAndKeepsTheRest) {
  const std::string in = Temporary("in.safetensors"), out = Temporary("out.safetensors");
  const at::Tensor weight = at::arange(6, at::kFloat).reshape({2, 3});
  ASSERT_TRUE(nn::SaveTensors(in, {{"w", weight}, {"steps", at::full({1}, 3, at::kLong)}}, {{"format", "pt"}}).ok());
  const testing::Finished finished = RunTool({"--weights=" + in, "--save=" + out, "--dtype=bf16"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const data::SafetensorsFile file = data::SafetensorsFile::Open(out).value();
  EXPECT_TRUE(file.VerifyOwn().ok());
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.Find("w")->dtype, data::DType::kBF16);
  EXPECT_EQ(file.Find("steps")->dtype, data::DType::kI64);
  const at::Tensor read = at::zeros({2, 3}), steps = at::zeros({1}, at::kLong);
  ASSERT_TRUE(nn::LoadTensors(data::WeightFile(file), {{"w", read}, {"steps", steps}}).ok());
  EXPECT_TRUE(at::equal(read, weight));
  EXPECT_EQ(steps.item<int64_t>(), 3);
}

// A file of torch.save with two state dicts; see data/io/weights/fixtures.
TEST(ModelToolTest, ConvertsTheStateDictThatIsNamed) {
  const std::string in = "data/io/weights/fixtures/two_state_dicts.pth", out = Temporary("named.safetensors");
  const testing::Finished which = RunTool({"--weights=" + in, "--save=" + out});
  EXPECT_EQ(which.exit_code, 78);
  EXPECT_THAT(which.err, HasSubstr("ema.state_dict"));
  EXPECT_FALSE(std::ifstream(out).good());
  const testing::Finished finished = RunTool({"--weights=" + in, "--save=" + out, "--state_dict=ema.state_dict"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const data::SafetensorsFile written = data::SafetensorsFile::Open(out).value();
  EXPECT_TRUE(written.VerifyOwn().ok());
  const data::WeightFile read = data::WeightFile::Open(in, "ema.state_dict").value();
  std::map<std::string, at::Tensor> tensors;
  for (const data::StridedView& view : read.tensors()) tensors[view.name] = nn::AsTensor(view).value();
  const data::WeightFile ours(written);
  ASSERT_EQ(ours.tensors().size(), tensors.size());
  for (const data::StridedView& view : ours.tensors()) {
    EXPECT_TRUE(at::equal(nn::AsTensor(view).value(), tensors.at(view.name))) << view.name;
  }
}

// Names of torchvision's ViT; the same weights, so the same logits.
TEST(ModelToolTest, RenamesByAKeyMap) {
  const std::string model = "vit { patch: 16 width: 8 heads: 1 depth: 1 }";
  const std::string timm = Temporary("timm.safetensors"), torchvision = Temporary("torchvision.safetensors"),
                    in = Temporary("vit_images.safetensors");
  config::Model config;
  config.mutable_vit()->set_width(8);
  config.mutable_vit()->set_heads(1);
  config.mutable_vit()->set_depth(1);
  const auto built = nn::BuildModel(config, {}, /*seed=*/3, /*channels_last=*/false).value();
  ASSERT_TRUE(nn::SaveModel(timm, *built, {}).ok());
  const nn::KeyMap back = nn::KeyMap::Create(config::TIMM_VIT_TO_TORCHVISION, {}).value();
  std::vector<nn::NamedTensor> renamed;
  for (const auto& [name, tensor] : built->Parameters()) renamed.emplace_back(back.Map(name), tensor);
  ASSERT_TRUE(nn::SaveTensors(torchvision, renamed, {}).ok());
  ASSERT_TRUE(nn::SaveTensors(in, {{"images", at::ones({1, 3, 32, 32})}}, {}).ok());
  const std::vector<std::string> common = {"--model=" + model, "--forward=" + in};
  const std::string a = Temporary("a.safetensors"), b = Temporary("b.safetensors");
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return RunTool(more);
  };
  ASSERT_EQ(run({"--weights=" + timm, "--out=" + a}).exit_code, 0);
  const testing::Finished mapped = run({"--weights=" + torchvision, "--key_map=TORCHVISION_VIT_TO_TIMM", "--out=" + b});
  ASSERT_EQ(mapped.exit_code, 0) << mapped.err;
  EXPECT_TRUE(at::equal(ReadF32(a, "logits"), ReadF32(b, "logits")));
  EXPECT_EQ(run({"--weights=" + torchvision, "--out=" + b}).exit_code, 78);
  const testing::Finished unknown = run({"--weights=" + torchvision, "--key_map=TIMM", "--out=" + b});
  EXPECT_EQ(unknown.exit_code, 78);
  EXPECT_THAT(unknown.err, HasSubstr("--key_map=TIMM is unknown; permitted: SAME_NAMES, TORCHVISION_VIT_TO_TIMM"));
}

TEST(ModelToolTest, RefusesNumbersThatATypeCannotHold) {
  const std::string in = Temporary("large.safetensors"), out = Temporary("none.safetensors");
  ASSERT_TRUE(nn::SaveTensors(in, {{"w", at::full({3}, 1e5)}}, {}).ok());
  const testing::Finished finished = RunTool({"--weights=" + in, "--save=" + out, "--dtype=f16"});
  EXPECT_EQ(finished.exit_code, 78);
  EXPECT_THAT(finished.err, HasSubstr("\"w\" has numbers that Half cannot hold"));
  EXPECT_FALSE(std::ifstream(out).good());
}

TEST(ModelToolTest, RunsTensorsInBatches) {
  const std::string weights = Temporary("forward.safetensors"), in = Temporary("images.safetensors"),
                    out = Temporary("outputs.safetensors");
  const std::unique_ptr<nn::Model> model = SavedModel(weights, {});
  at::manual_seed(4);
  const at::Tensor images = at::randn({70, 3, 32, 32});
  ASSERT_TRUE(nn::SaveTensors(in, {{"images", images}}, {}).ok());
  const testing::Finished finished =
      RunTool({absl::StrCat("--model=", kModel), "--weights=" + weights, "--forward=" + in, "--out=" + out});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const at::NoGradGuard no_grad;
  const nn::Outputs expected = model->Forward(images, {.embedding = true, .taps = model->TapNames()});
  EXPECT_TRUE(at::allclose(ReadF32(out, "logits"), expected.logits, 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(ReadF32(out, "embedding"), expected.embedding, 1e-5, 1e-5));
  for (const auto& [name, tensor] : expected.taps) {
    EXPECT_TRUE(at::allclose(ReadF32(out, name), tensor, 1e-5, 1e-5)) << name;
  }
  EXPECT_EQ(data::SafetensorsFile::Open(out)->tensors().size(), 2 + expected.taps.size());
}

// A picture of 32 x 48 pixels, whose middle is cropped; what is known of the model is in the weights' file.
TEST(ModelToolTest, ClassifiesAPicture) {
  const std::string weights = Temporary("classify.safetensors"), picture = Temporary("picture.png");
  const std::unique_ptr<nn::Model> model =
      SavedModel(weights, {{"retort.model", kModel},
                           {"retort.image_shape", "[3,32,32]"},
                           {"retort.class_names", R"(["c0","c1","c2","c3","c4","c5","c6","c7","c8","c9"])"},
                           {"retort.mean", "[0.5,0.4,0.3]"},
                           {"retort.std", "[0.25,0.2,0.1]"}});
  std::vector<uint8_t> pixels;
  at::Tensor image = at::empty({1, 3, 32, 32});
  const double mean[] = {0.5, 0.4, 0.3}, std[] = {0.25, 0.2, 0.1};
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 48; ++x) {
      for (int c = 0; c < 3; ++c) {
        pixels.push_back(static_cast<uint8_t>((y * 7 + x * 5 + c * 60) % 256));
        if (x < 8 || x >= 40) continue;
        image[0][c][y][x - 8] = (pixels.back() / 255.0 - mean[c]) / std[c];
      }
    }
  }
  ASSERT_TRUE(data::WriteFileAtomically(picture, ops::EncodePng(pixels, 32, 48, 3).value()).ok());
  const testing::Finished finished = RunTool({"--weights=" + weights, "--image=" + picture, "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const nlohmann::json json = nlohmann::json::parse(finished.out);
  ASSERT_EQ(json.size(), 5u);
  const at::NoGradGuard no_grad;
  const at::Tensor expected = at::softmax(model->Forward(image, {}).logits[0], 0);
  EXPECT_EQ(json[0]["class"], expected.argmax().item<int64_t>());
  for (const nlohmann::json& line : json) {
    const int64_t index = line["class"];
    EXPECT_EQ(line["name"], absl::StrCat("c", index));
    EXPECT_NEAR(line["probability"].get<double>(), expected[index].item<double>(), 1e-5);
  }

  const std::string names = Temporary("names.txt");
  std::ofstream(names) << "cat\ncat\ncat\ncat\ncat\ncat\ncat\ncat\ncat\ncat\n";
  const testing::Finished named =
      RunTool({"--weights=" + weights, "--image=" + picture, "--class_names=" + names, "--resize=40"});
  ASSERT_EQ(named.exit_code, 0) << named.err;
  EXPECT_THAT(named.out, HasSubstr(" %  cat\n"));
}

struct BadCall {
  std::string name;
  std::vector<std::string> arguments;
  int exit_code;
  std::string message;
};

class BadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(BadCallTest, IsRefused) {
  const testing::Finished finished = RunTool(GetParam().arguments);
  EXPECT_EQ(finished.exit_code, GetParam().exit_code) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, BadCallTest,
    ::testing::Values(BadCall{"NoModel", {}, 64, "give --model, --config or --weights"},
                      BadCall{"TwoThingsToDo", {"--weights=w", "--save=a", "--image=b"}, 64, "give one of --save"},
                      BadCall{"NothingToSave", {"--save=a"}, 64, "give --weights"},
                      BadCall{"NowhereToWrite", {"--weights=w", "--forward=i"}, 64, "--forward and --out go together"},
                      BadCall{"MapForNothing", {"--model=m", "--key_map=SAME_NAMES"}, 64, "--key_map is of"},
                      BadCall{"UnknownFamily", {"--model=lite_nn { }"}, 78, "--model:1:1: no field \"lite_nn\""},
                      BadCall{"NoFamily", {"--model= "}, 78, "--model:"},
                      BadCall{"OutOfRange", {"--model=light_nn { hidden: 0 }"}, 78, "light_nn: hidden: 0 is not in"},
                      BadCall{"ImpossibleShape", {"--model=light_nn { }", "--height=30"}, 78, "30x32x3"},
                      BadCall{"NoWeights", {"--weights=/nowhere/w.safetensors"}, 66, "/nowhere/w.safetensors"},
                      BadCall{"DamagedWeights", {"--weights=tools/model/model", "--save=o"}, 65, "tools/model/model"},
                      BadCall{"UnknownType", {"--weights=w", "--save=o", "--dtype=f8"}, 78, "--dtype=f8 is unknown"},
                      BadCall{"NoConfig", {"--config=/nowhere/c.textproto"}, 66, "/nowhere/c.textproto"}),
    [](const auto& instance) { return instance.param.name; });

TEST(ModelToolErrorTest, NamesWhatIsWrongWithFiles) {
  const std::string weights = Temporary("anonymous.safetensors"), images = Temporary("bad_images.safetensors");
  SavedModel(weights, {});
  const testing::Finished anonymous = RunTool({"--weights=" + weights});
  EXPECT_EQ(anonymous.exit_code, 78);
  EXPECT_THAT(anonymous.err, HasSubstr("does not say what model it is of; give --model"));
  const testing::Finished other = RunTool({"--model=deep_nn { }", "--weights=" + weights});
  EXPECT_EQ(other.exit_code, 78);
  EXPECT_THAT(other.err, HasSubstr("missing \"features.2.weight\""));
  ASSERT_TRUE(nn::SaveTensors(images, {{"images", at::ones({3, 32, 32})}}, {}).ok());
  const testing::Finished flat =
      RunTool({absl::StrCat("--model=", kModel), "--weights=" + weights, "--forward=" + images, "--out=o"});
  EXPECT_EQ(flat.exit_code, 78);
  EXPECT_THAT(flat.err, HasSubstr("images are F32 [3,32,32]; they must be F32 [B,C,H,W]"));
  const testing::Finished no_image = RunTool({absl::StrCat("--model=", kModel), "--weights=" + weights,
                                              "--image=/nowhere/cat.jpg", "--mean=0.5,0.5,0.5", "--std=0.2,0.2,0.2"});
  EXPECT_EQ(no_image.exit_code, 66);
  const testing::Finished no_mean =
      RunTool({absl::StrCat("--model=", kModel), "--weights=" + weights, "--image=/nowhere/cat.jpg"});
  EXPECT_EQ(no_mean.exit_code, 78);
  EXPECT_THAT(no_mean.err, HasSubstr("an image needs 3 of each"));
  const testing::Finished unwritable = RunTool({"--weights=" + weights, "--save=/nowhere/deeper/out.safetensors"});
  EXPECT_NE(unwritable.exit_code, 0);
  EXPECT_THAT(unwritable.err, HasSubstr("/nowhere/deeper"));
}

}  // namespace
}  // namespace retort::tools
