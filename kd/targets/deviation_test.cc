#include "retort/kd/targets/deviation.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/kd/targets/target_rows.h"

namespace retort::kd {
namespace {

// Different everywhere, exact in no short type, of both signs.
at::Tensor Values(at::IntArrayRef shape, double scale) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return ((at::arange(count, at::kDouble) * 2.3 + 0.7).sin() * scale).to(at::kFloat).reshape(shape);
}

Targets Everything() {
  Targets targets;
  targets.logits = Values({3, 5}, 12);
  targets.embedding = Values({3, 7}, 1e-3);
  targets.maps["a"] = Values({3, 2, 4}, 300);
  targets.gradients.maps["b"] = Values({3, 4, 4}, 1);
  targets.gradients.images = Values({3, 1, 2, 2}, 0.1);
  return targets;
}

constexpr char kEverything[] = "embedding: true map: 'a' gradient_map: 'b' input_gradient: true precision: ";

config::StoredTargets Parse(const std::string& text) {
  config::StoredTargets contents;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &contents)) << text;
  return contents;
}

Targets Read(const config::StoredTargets& contents, const std::map<std::string, at::Tensor>& rows) {
  return Decode(contents, RequestFor(contents), 5, [&rows](const std::string& name) { return rows.at(name); });
}

struct PrecisionCase {
  const char* name;
  int harmless;  // bits of a record's greatest number that rounding may change
  int bits;
};

class DeviationTest : public ::testing::TestWithParam<PrecisionCase> {
 protected:
  bool Differs(const std::string& name, Targets stored, int64_t row) const {
    const Deviation deviation = DeviationOf(contents_, name, TargetOf(stored, name), exact_, labels_);
    return !(deviation.by[row].item<double>() <= deviation.rounding[row].item<double>());
  }

  const config::StoredTargets contents_ = Parse(std::string(kEverything) + GetParam().name);
  Targets exact_ = Everything();
  const at::Tensor labels_ = exact_.logits.argmin(1);
};

TEST_P(DeviationTest, FindsNothingInWhatIsStored) {
  const Targets stored = Read(contents_, Encode(contents_, exact_).value());
  for (const std::string& name : TargetNames(RequestFor(contents_))) {
    for (int64_t row = 0; row < 3; ++row) EXPECT_FALSE(Differs(name, stored, row)) << name;
  }
}

// As a teacher that says the same with other sums: 64 units of the record's greatest number.
TEST_P(DeviationTest, ForgivesOtherSums) {
  const Targets stored = Read(contents_, Encode(contents_, exact_).value());
  for (const std::string& name : TargetNames(RequestFor(contents_))) {
    at::Tensor& target = TargetOf(exact_, name);
    target = target + (target.abs().max() * std::ldexp(1.0, -18)).to(at::kFloat);
  }
  for (const std::string& name : TargetNames(RequestFor(contents_))) {
    for (int64_t row = 0; row < 3; ++row) EXPECT_FALSE(Differs(name, stored, row)) << name;
  }
}

TEST_P(DeviationTest, FindsEveryFlippedBitAboveTheLast) {
  const std::map<std::string, at::Tensor> rows = Encode(contents_, exact_).value();
  for (const std::string& name : TargetNames(RequestFor(contents_))) {
    for (int bit = GetParam().harmless; bit < GetParam().bits; ++bit) {
      std::map<std::string, at::Tensor> flipped = rows;
      at::Tensor& record = flipped[name];
      record = record.clone();
      const int64_t place = TargetOf(exact_, name)[1].flatten().abs().argmax().item<int64_t>();
      auto* const bytes = static_cast<uint8_t*>(record[1].flatten()[place].data_ptr());
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1 << (bit % 8)));
      const Targets stored = Read(contents_, flipped);
      EXPECT_TRUE(Differs(name, stored, 1)) << name << " bit " << bit;
      EXPECT_FALSE(Differs(name, stored, 0)) << name << " bit " << bit;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviationTest,
                         ::testing::Values(PrecisionCase{"FP32", 9, 32}, PrecisionCase{"FP16", 1, 16},
                                           PrecisionCase{"BF16", 1, 16}, PrecisionCase{"INT8", 1, 8}),
                         [](const auto& instance) { return instance.param.name; });

TEST(DeviationTest, OfTopKComparesTheClassesThatAreStored) {
  const config::StoredTargets contents = Parse("precision: FP32 top_k: 2");
  Targets exact;
  exact.logits = at::tensor({3.f, 1.f, 2.f, -1.f, 0.5f}).unsqueeze(0);
  const at::Tensor labels = at::zeros({1}, at::kLong);
  std::map<std::string, at::Tensor> rows = Encode(contents, exact).value();
  const Deviation sound = DeviationOf(contents, "logits", Read(contents, rows).logits, exact, labels);
  EXPECT_LE(sound.by.item<double>(), sound.rounding.item<double>());
  // Class 1, whose logit is 1 less, in the place of class 2.
  rows["logits.index"] = rows["logits.index"].clone();
  rows["logits.index"][0][1] = 1;
  const Deviation wrong = DeviationOf(contents, "logits", Read(contents, rows).logits, exact, labels);
  EXPECT_NEAR(wrong.by.item<double>(), 1, 1e-6);
  EXPECT_GT(wrong.by.item<double>(), wrong.rounding.item<double>());
}

// The softmax less the label is e / (1 + e) for two classes whose logits differ by -ln e: its rounding is that of 1.
TEST(DeviationTest, AGradientOfASureTeacherIsRoundedMore) {
  const config::StoredTargets contents = Parse("precision: FP32 input_gradient: true");
  Targets exact;
  exact.logits = at::tensor({0.f, std::log(1e-3f)}).unsqueeze(0);
  exact.gradients.images = Values({1, 1, 2, 2}, 0.1);
  const double greatest = exact.gradients.images.abs().max().item<double>();
  for (const auto& [label, size] : {std::pair(0, 1e-3 / 1.001), std::pair(1, 1 / 1.001)}) {
    const Deviation deviation =
        DeviationOf(contents, "input_gradient", exact.gradients.images, exact, at::tensor({label}, at::kLong));
    EXPECT_EQ(deviation.by.item<double>(), 0);
    EXPECT_NEAR(deviation.rounding.item<double>() * 65536 * size / greatest, 1, 1e-5);
  }
}

}  // namespace
}  // namespace retort::kd
