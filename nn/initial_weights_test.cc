#include "retort/nn/initial_weights.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/sha256.h"
#include "retort/nn/build_model.h"
#include "retort/nn/weights.h"

namespace retort::nn {
namespace {

using ::testing::HasSubstr;

class InitialWeightsTest : public ::testing::Test {
 protected:
  // A file of ours, with a SHA-256 of itself.
  void SetUp() override {
    model_ = Light(1);
    config_.set_path(::testing::TempDir() + "/initial.safetensors");
    ASSERT_TRUE(SaveModel(config_.path(), *model_, {}).ok());
    bytes_ = data::ReadFile(config_.path()).value();
  }

  static std::unique_ptr<Model> Light(uint64_t seed) {
    config::Model config;
    config.mutable_light_nn()->set_hidden(8);
    return BuildModel(config, ModelShape(), seed, /*channels_last=*/false).value();
  }

  void Write(const std::string& bytes) { ASSERT_TRUE(data::WriteFileAtomically(config_.path(), bytes).ok()); }

  std::unique_ptr<Model> model_;
  config::InitialWeights config_;
  std::string bytes_;
};

TEST_F(InitialWeightsTest, AFileOfOursIsKnownByTheHashOfItself) {
  const std::string digest = InitialWeightsDigest(config_).value();
  EXPECT_NE(bytes_.find(digest), std::string::npos);
  const std::unique_ptr<Model> other = Light(2);
  ASSERT_TRUE(LoadInitialWeights(config_, digest, other.get()).ok());
  EXPECT_TRUE(other->Parameters()[0].second.equal(model_->Parameters()[0].second));
}

TEST_F(InitialWeightsTest, AForeignFileIsKnownByAllItsBytes) {
  bytes_.replace(bytes_.find("retort.sha256"), 13, "foreign.entry");
  Write(bytes_);
  const std::string digest = InitialWeightsDigest(config_).value();
  EXPECT_EQ(digest, data::Sha256Hex(bytes_));
  EXPECT_TRUE(LoadInitialWeights(config_, digest, Light(2).get()).ok());
}

TEST_F(InitialWeightsTest, ChangesAreFound) {
  const std::string digest = InitialWeightsDigest(config_).value();
  ASSERT_TRUE(SaveModel(config_.path(), *Light(2), {}).ok());
  const absl::Status changed = LoadInitialWeights(config_, digest, model_.get()).status();
  EXPECT_EQ(changed.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(changed.message()), HasSubstr("was changed after the plan was made"));

  bytes_.back() = static_cast<char>(bytes_.back() ^ 1);
  Write(bytes_);
  for (const absl::Status& status :
       {InitialWeightsDigest(config_).status(), LoadInitialWeights(config_, digest, model_.get()).status(),
        LoadInitialWeights(config_, "", model_.get()).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(config_.path()));
  }
}

}  // namespace
}  // namespace retort::nn
