#include "retort/pipelines/payload/model_costs.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/nn/build_model.h"

namespace retort::pipelines {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// Two 3x3 convolutions of 3 to 2 and 2 to 4 channels at 8x8 and, halved, 4x4 and 2x2 pixels; 4 * 2 * 2 numbers to 5, 5
// to 10 classes.
TEST(ModelCosts, AreThoseOfOneImage) {
  config::Model config;
  config.mutable_light_nn()->set_conv1(2);
  config.mutable_light_nn()->set_conv2(4);
  config.mutable_light_nn()->set_hidden(5);
  const nn::ModelShape shape = {.channels = 3, .height = 8, .width = 8, .classes = 10};
  const auto model = nn::BuildModel(config, shape, /*seed=*/1, /*channels_last=*/true).value();
  constexpr int kParameters = (3 * 9 + 1) * 2 + (2 * 9 + 1) * 4 + (16 + 1) * 5 + (5 + 1) * 10;
  constexpr int kMacs = 64 * 2 * 27 + 16 * 4 * 18 + 16 * 5 + 5 * 10;
  EXPECT_THAT(ModelCosts(model.get(), shape), ElementsAre(Pair("parameters", kParameters), Pair("macs", kMacs)));
}

}  // namespace
}  // namespace retort::pipelines
