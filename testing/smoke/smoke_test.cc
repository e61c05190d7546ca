// LibTorch, protobuf and Abseil in one process: each carries things that the others also have.
#include "ATen/core/Tensor.h"
#include "ATen/ops/ones.h"
#include "absl/strings/str_cat.h"
#include "c10/util/Exception.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/testing/smoke/smoke.pb.h"

namespace retort {
namespace {

TEST(Smoke, ProtobufWithMapsBesideLibTorch) {
  config::Smoke message;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString("entry { key: 'a' value: 2 }", &message));
  message.mutable_entry()->insert({absl::StrCat("b", 1), 3});
  EXPECT_EQ(at::ones({2, 3}).sum().item<float>(), 6.0f);
  EXPECT_EQ(message.entry().size(), 2u);
}

TEST(Smoke, OptionsOfFieldsAreRead) {
  const auto* field = config::Smoke::descriptor()->FindFieldByName("seconds");
  ASSERT_NE(field, nullptr);
  EXPECT_EQ(field->options().GetExtension(config::smoke_unit), "s");
}

TEST(Smoke, ExceptionsOfLibTorchAreCaught) { EXPECT_THROW(at::ones({2, 3}).view({7}), c10::Error); }

}  // namespace
}  // namespace retort
