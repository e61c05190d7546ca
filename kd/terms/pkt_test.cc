#include "retort/kd/terms/pkt.h"

#include <string>

#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakePkt(Parse<config::Pkt>(text)); };
}

TEST(PktTest, EqualsThePublishedValue) {
  ExpectPublished(OfEmbedding(Make(""), TeacherEmbedding(8)), StudentEmbedding(6), 0.00588622192979, 0.026037423448);
}

}  // namespace
}  // namespace retort::kd
