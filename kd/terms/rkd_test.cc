#include "retort/kd/terms/rkd.h"

#include <string>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeRkd(Parse<config::Rkd>(text)); };
}

TEST(RkdTest, EqualsThePublishedValues) {
  const at::Tensor teacher = TeacherEmbedding(8);
  ExpectPublished(OfEmbedding(Make(""), teacher), StudentEmbedding(6), 0.636082778444, 2.51936215805);
  ExpectPublished(OfEmbedding(Make("distance_weight: 1 angle_weight: 0"), teacher), StudentEmbedding(6),
                  0.00441242583562, 0.0203188455144);
  ExpectPublished(OfEmbedding(Make("distance_weight: 0 angle_weight: 1"), teacher), StudentEmbedding(6),
                  0.0105154426511, 0.043372646572);
}

TEST(RkdTest, DoesNotChangeWhenEmbeddingsAreShiftedAndScaled) {
  const TermOf f = OfEmbedding(Make(""), TeacherEmbedding(8));
  EXPECT_NEAR(f(StudentEmbedding(6) * 3 + 2).item<double>(), f(StudentEmbedding(6)).item<double>(), 1e-10);
}

}  // namespace
}  // namespace retort::kd
