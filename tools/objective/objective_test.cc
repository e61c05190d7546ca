#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/avg_pool2d.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/eye.h"
#include "ATen/ops/full.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"

#include "retort/data/io/weights/weight_file.h"
#include "retort/kd/objective.pb.h"
#include "retort/kd/terms/fixtures.h"
#include "retort/nn/weights.h"
#include "retort/testing/subprocess.h"
#include "retort/tools/objective/evaluate_objective.h"

namespace retort::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Tensors = std::map<std::string, at::Tensor>;

testing::Finished RunTool(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "tools/objective/objective");
  return testing::RunProgram(arguments);
}

std::string Temporary(const std::string& name) { return absl::StrCat(std::getenv("TEST_TMPDIR"), "/", name); }

// Floating-point tensors in `type`.
std::string Saved(const Tensors& tensors, at::ScalarType type = at::kDouble) {
  std::vector<nn::NamedTensor> list;
  for (const auto& [name, tensor] : tensors) {
    list.emplace_back(name, tensor.is_floating_point() ? tensor.to(type) : tensor);
  }
  const std::string path = Temporary("in.safetensors");
  EXPECT_EQ(nn::SaveTensors(path, list, {}), absl::OkStatus());
  return path;
}

Tensors ReadAll(const std::string& path) {
  const data::WeightFile file = data::WeightFile::Open(path).value();
  Tensors tensors;
  for (const data::StridedView& view : file.tensors()) tensors[view.name] = nn::AsTensor(view)->clone();
  return tensors;
}

// What the tool prints: "cross_entropy     2.94439764397".
std::map<std::string, double> Values(const std::string& out) {
  std::map<std::string, double> values;
  for (const absl::string_view line : absl::StrSplit(out, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    EXPECT_EQ(words.size(), 2u) << line;
    EXPECT_TRUE(absl::SimpleAtod(words[1], &values[words[0]])) << line;
  }
  return values;
}

// Of all gradients together.
double Norm(const Tensors& gradients) {
  double squares = 0;
  for (const auto& [name, tensor] : gradients) squares += std::pow(tensor.norm().item<double>(), 2);
  return std::sqrt(squares);
}

Tensors LogitsAndLabels() {
  return {{"student.logits", kd::StudentLogits()}, {"teacher.logits", kd::TeacherLogits()}, {"labels", kd::Labels()}};
}
Tensors Logits() { return {{"student.logits", kd::StudentLogits()}, {"teacher.logits", kd::TeacherLogits()}}; }
Tensors Token() {
  return {{"student.distillation_logits", kd::StudentLogits()}, {"teacher.logits", kd::TeacherLogits()}};
}
Tensors Maps(int64_t side, int64_t channels) {
  return {{"student.s", kd::StudentMap()}, {"teacher.t", kd::TeacherMap(side, side, channels)}};
}
Tensors EightChannels() { return Maps(8, 8); }
Tensors SixChannels() { return Maps(8, 6); }
Tensors SmallTeacher() { return Maps(4, 8); }
Tensors Embeddings() {
  return {{"student.embedding", kd::StudentEmbedding(6)}, {"teacher.embedding", kd::TeacherEmbedding(8)}};
}
Tensors EqualEmbeddings() {
  return {{"student.embedding", kd::StudentEmbedding(6)}, {"teacher.embedding", kd::TeacherEmbedding(6)}};
}

// A map and its 2x2 average pool.
Tensors Stages() {
  Tensors tensors;
  tensors["student.a"] = kd::StudentMap();
  tensors["student.b"] = at::avg_pool2d(tensors["student.a"], 2);
  tensors["teacher.a"] = kd::TeacherMap(8, 8, 6);
  tensors["teacher.b"] = at::avg_pool2d(tensors["teacher.a"], 2);
  return tensors;
}

// By the map alone, of which the second stage is made.
double StagesNorm(const Tensors& gradients) {
  const at::Tensor pooled = gradients.at("grad.student.b");
  return (gradients.at("grad.student.a") + pooled.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4)
      .norm()
      .item<double>();
}

at::Tensor Grid(int64_t rows, double a, int64_t columns, double b) {
  return (at::arange(rows, at::kDouble) * a).unsqueeze(1) + (at::arange(columns, at::kDouble) * b).unsqueeze(0);
}

// Linear models z = x W' of 12 inputs.
Tensors LinearModels() {
  const at::Tensor images = Grid(4, 0.4, 12, 0.25).sin(), teacher = Grid(5, 0.5, 12, -0.2).cos();
  at::Tensor p = at::softmax(at::mm(images, teacher.t()), 1);
  for (int64_t b = 0; b < 4; ++b) p[b][kd::Labels()[b].item<int64_t>()] -= 1;
  return {{"images", images},
          {"labels", kd::Labels()},
          {"student.head.weight", Grid(5, 1, 12, 0.3).sin()},
          {"teacher.gradient.images", at::mm(p, teacher)}};
}

at::Tensor Direction(const at::Tensor& x) { return x / x.norm(2, {1}, /*keepdim=*/true); }

// Banks of 20 images; layers that change nothing.
Tensors Banks() {
  return {{"student.embedding", Direction((Grid(4, 0.6, 3, 0.8) + 0.3).sin())},
          {"teacher.embedding", Direction((Grid(4, 0.7, 3, -0.5) + 0.2).cos())},
          {"labels", kd::Labels()},
          {"index", at::tensor({2, 5, 11, 17}, at::kLong)},
          {"negatives", at::tensor({0, 7, 13, 19, 1, 3, 9, 16, 4, 6, 8, 18, 10, 12, 14, 15}, at::kLong).view({4, 4})},
          {"objective.crd.bank.student", Grid(20, 0.9, 3, 1.7).sin() * 0.5},
          {"objective.crd.bank.teacher", Grid(20, 0.4, 3, -1.1).cos() * 0.5},
          {"objective.crd.normalizer.student", at::zeros({}, at::kDouble)},
          {"objective.crd.normalizer.teacher", at::zeros({}, at::kDouble)},
          {"objective.crd.classes", at::full({20}, -1.0, at::kDouble)},
          {"objective.crd.student.weight", at::eye(3, at::kDouble)},
          {"objective.crd.student.bias", at::zeros({3}, at::kDouble)},
          {"objective.crd.teacher.weight", at::eye(3, at::kDouble)},
          {"objective.crd.teacher.bias", at::zeros({3}, at::kDouble)}};
}

double EmbeddingNorm(const Tensors& gradients) { return gradients.at("grad.student.embedding").norm().item<double>(); }

struct Fixture {
  std::string name;
  std::string term;
  std::function<Tensors()> tensors;
  double value;
  double gradient_norm;
  std::function<double(const Tensors&)> norm = Norm;
  std::vector<std::string> flags = {};
};

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";
constexpr char kStages[] = "pair { student: 'a' teacher: 'a' } pair { student: 'b' teacher: 'b' }";

// Values and gradient norms were computed in f64 with the methods' published code, see kd/terms/fixtures.h; the
// gradient of crd, which divides embeddings by their length, by its formula in PyTorch.
std::vector<Fixture> Fixtures() {
  return {
      {"cross_entropy", "cross_entropy {}",
       [] {
         return Tensors{{"student.logits", kd::StudentLogits()}, {"labels", kd::Labels()}};
       },
       2.94439764397, 0.541482431941},
      {"kl_1", "distill { temperature: 1 }", Logits, 2.14881077887, 0.40844585696},
      {"kl_2", "distill { temperature: 2 }", Logits, 3.1845337876, 0.531258237024},
      {"kl_4", "distill { temperature: 4 }", Logits, 3.99083614555, 0.613367842733},
      {"cross_entropy_form_2", "distill { temperature: 2 form: SOFT_CROSS_ENTROPY }", Logits, 7.80937356827,
       0.531258237024},
      {"dkd", "dkd { temperature: 4 target_weight: 1 non_target_weight: 8 }", LogitsAndLabels, 27.4141671322,
       4.8307917552},
      {"tckd", "dkd { temperature: 4 target_weight: 1 non_target_weight: 0 }", LogitsAndLabels, 1.43965025396,
       0.420029027163},
      {"nckd", "dkd { temperature: 4 target_weight: 0 non_target_weight: 1 }", LogitsAndLabels, 3.24681460978,
       0.605107735076},
      {"dist_1", "dist { temperature: 1 }", Logits, 1.89835218071, 0.175272878377},
      {"dist_4", "dist { temperature: 4 }", Logits, 28.3003647412, 2.4616890989},
      {"standardized_2", "distill { temperature: 2 standardize: true }", Logits, 0.643439116088, 0.0513588162824},
      {"token_soft_1", "distillation_token { soft { temperature: 1 } }", Token, 0.429762155773, 0.081689171392},
      {"token_soft_3", "distillation_token { soft { temperature: 3 } }", Token, 0.74097539313, 0.116993066359},
      {"token_hard", "distillation_token { hard {} }", Token, 3.03124132652, 0.554954753497},
      {"soft_cross_entropy", "top_k_cross_entropy { k: 5 }", Logits, 2.95898304804, 0.40844585696},
      {"soft_cross_entropy_top_2", "top_k_cross_entropy { k: 2 }", Logits, 2.97106188993, 0.409173741485},
      {"attention", absl::StrCat("attention { ", kPair, " }"), EightChannels, 2.1863983117e-05, 8.41847366035e-05},
      {"attention_pooled", absl::StrCat("attention { ", kPair, " }"), SmallTeacher, 7.6963954498e-05,
       3.94340693914e-04},
      {"attention_of_the_paper", absl::StrCat("attention { ", kPair, " form: NORMALIZED_DISTANCE }"), EightChannels,
       0.0374069172181, 0.0720179519154},
      {"hint", absl::StrCat("hint { ", kPair, " }"), SixChannels, 1.00931350632, 0.0512681244963},
      {"nst", absl::StrCat("nst { ", kPair, " }"), EightChannels, 0.98297207821, 0.0102512350583},
      {"similarity_preserving", absl::StrCat("similarity_preserving { ", kPair, " }"), EightChannels, 0.00139818247882,
       0.00117687305177},
      {"hierarchical_context", absl::StrCat("hierarchical_context { ", kPair, " }"), SixChannels, 0.70090897096,
       0.0363077096764},
      // rho such that the variance is 5
      {"vid", absl::StrCat("vid { ", kPair, " regressor: NONE }"),
       [] {
         Tensors tensors = SixChannels();
         tensors["objective.vid.0.rho"] = at::full({6}, 4.9932291827, at::kDouble);
         return tensors;
       },
       0.905650306849, 0.00512681244963,
       [](const Tensors& gradients) { return gradients.at("grad.student.s").norm().item<double>(); }},
      {"fsp", absl::StrCat("fsp { ", kStages, " }"), Stages, 0.00485050581535, 0.00259865549361, StagesNorm},
      {"factor_transfer", absl::StrCat("factor_transfer { ", kPair, " }"), EightChannels, 0.00408346713924,
       0.00887945416327},
      {"activation_boundary", absl::StrCat("activation_boundary { ", kPair, " }"), SixChannels, 1.74157531112,
       0.0722822656906},
      {"rkd", "rkd {}", Embeddings, 0.636082778444, 2.51936215805},
      {"rkd_distance", "rkd { distance_weight: 1 angle_weight: 0 }", Embeddings, 0.00441242583562, 0.0203188455144},
      {"rkd_angle", "rkd { distance_weight: 0 angle_weight: 1 }", Embeddings, 0.0105154426511, 0.043372646572},
      {"pkt", "pkt {}", Embeddings, 0.00588622192979, 0.026037423448},
      {"correlation_congruence", "correlation_congruence { neighbours { width: 0 } }", EqualEmbeddings, 5.11588819217,
       2.40843201189},
      {"input_gradient", "input_gradient {}", LinearModels, 4.2285511012, 2.12560256248},
      {"input_gradient_distance", "input_gradient { form: DISTANCE }", LinearModels, 1.28704062418, 0.395456086161},
      {"crd", "crd { width: 3 negatives: 4 }", Banks, 13.6914765657, 3.28754278793, EmbeddingNorm, {"--samples=20"}},
  };
}

class ObjectiveToolTest : public ::testing::TestWithParam<Fixture> {
 protected:
  testing::Finished Run(const std::string& in, const std::string& out) const {
    std::vector<std::string> arguments = {absl::StrCat("--objective=term { ", GetParam().term, " }"), "--tensors=" + in,
                                          "--out=" + out};
    arguments.insert(arguments.end(), GetParam().flags.begin(), GetParam().flags.end());
    return RunTool(arguments);
  }
};

TEST_P(ObjectiveToolTest, PrintsThePublishedValueAndWritesTheGradient) {
  const Fixture& fixture = GetParam();
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-9}, {at::kFloat, 1e-5}}) {
    const std::string out = Temporary("out.safetensors");
    const testing::Finished finished = Run(Saved(fixture.tensors(), type), out);
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    const std::map<std::string, double> values = Values(finished.out);
    ASSERT_EQ(values.size(), 2u) << finished.out;
    EXPECT_NEAR(values.at("total"), fixture.value, tolerance * fixture.value) << type;
    const Tensors gradients = ReadAll(out);
    for (const auto& [name, tensor] : gradients) EXPECT_EQ(tensor.scalar_type(), type) << name;
    EXPECT_NEAR(fixture.norm(gradients), fixture.gradient_norm, tolerance * fixture.gradient_norm) << type;
  }
}

// What is asked for is read, and nothing is read that is not asked for: the value depends on each tensor, and without
// it there is none.
TEST_P(ObjectiveToolTest, ReadsEveryTensorThatItAsksFor) {
  const Fixture& fixture = GetParam();
  const auto evaluate = [&fixture](const Tensors& tensors) {
    ObjectiveRequest request;
    request.objective = absl::StrCat("term { ", fixture.term, " }");
    request.tensors = Saved(tensors);
    request.samples = 20;
    return EvaluateObjective(request);
  };
  for (const auto& [name, tensor] : fixture.tensors()) {
    Tensors tensors = fixture.tensors();
    // Labels of crd are those by which negatives are drawn.
    if (name.rfind("objective.", 0) == 0 || (name == "labels" && tensors.count("negatives") > 0)) continue;
    SCOPED_TRACE(name);
    tensors[name] = tensor.is_floating_point() ? tensor * tensor * 0.1 - tensor : (tensor + 1).remainder(5);
    const absl::StatusOr<ObjectiveValues> changed = evaluate(tensors);
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_GT(std::abs(changed->total - fixture.value), 1e-7 * fixture.value);
    if (name == "negatives") continue;  // drawn where they are not given
    tensors.erase(name);
    const absl::Status missing = evaluate(tensors).status();
    EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(missing.message()),
                HasSubstr(name == "student.head.weight" ? "student.logits: missing" : name + ": missing"));
  }
}

// Logits and features of 10,000 are numbers as others: value and gradient are finite. Infinity and NaN are, or the
// error names the term or the tensor.
TEST_P(ObjectiveToolTest, IsFiniteOrSaysWhatIsNot) {
  const Fixture& fixture = GetParam();
  const std::string term = fixture.term.substr(0, fixture.term.find(' '));
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const auto evaluate = [&](const std::string& name, const at::Tensor& tensor) {
      Tensors tensors = fixture.tensors();
      tensors[name] = tensor;
      ObjectiveRequest request;
      request.objective = absl::StrCat("term { ", fixture.term, " }");
      request.tensors = Saved(tensors, type);
      request.out = Temporary("extreme.safetensors");
      request.samples = 20;
      return EvaluateObjective(request);
    };
    for (const auto& [name, tensor] : fixture.tensors()) {
      if (!tensor.is_floating_point() || name.rfind("objective.", 0) == 0) continue;
      SCOPED_TRACE(absl::StrCat(name, " ", c10::toString(type)));
      const absl::StatusOr<ObjectiveValues> large = evaluate(name, tensor * 1e4);
      EXPECT_TRUE(large.ok()) << large.status();
      for (const double value : {-HUGE_VAL, HUGE_VAL, std::nan("")}) {
        at::Tensor spoilt = tensor.clone();
        spoilt.flatten()[3] = value;
        const absl::StatusOr<ObjectiveValues> got = evaluate(name, spoilt);
        if (got.ok()) continue;
        EXPECT_EQ(got.status().code(), absl::StatusCode::kDataLoss);
        EXPECT_THAT(std::string(got.status().message()),
                    ::testing::AnyOf(HasSubstr(term + " = "), HasSubstr("the gradient by student.")));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Published, ObjectiveToolTest, ::testing::ValuesIn(Fixtures()),
                         [](const auto& test) { return test.param.name; });

TEST(ObjectiveToolSumTest, WeighsTermsInAnEpoch) {
  const std::string objective =
      "--objective=term { weight: 0.25 cross_entropy {} } term { weight: 2 distill { temperature: 1 } weight_schedule "
      "{ "
      "linear { epochs: 4 } } } term { distill { temperature: 2 } }";
  const testing::Finished finished = RunTool({objective, "--tensors=" + Saved(LogitsAndLabels()), "--epoch=1"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::map<std::string, double> values = Values(finished.out);
  EXPECT_NEAR(values.at("cross_entropy"), 2.94439764397, 1e-9);
  EXPECT_NEAR(values.at("distill"), 2.14881077887, 1e-9);
  EXPECT_NEAR(values.at("distill_2"), 3.1845337876, 1e-9);
  EXPECT_NEAR(values.at("total"), 0.25 * 2.94439764397 + 2 * 0.5 * 2.14881077887 + 3.1845337876, 1e-9);
}

TEST(ObjectiveToolPresetTest, SaysItsTerms) {
  const testing::Finished finished =
      RunTool({"--objective=preset { hinton_kd { temperature: 2 } }", "--tensors=" + Saved(LogitsAndLabels())});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.err,
            "term { weight: 0.1 cross_entropy { } }\n"
            "term { weight: 0.9 distill { temperature: 2 } }\n");
  EXPECT_NEAR(Values(finished.out).at("total"), 0.1 * 2.94439764397 + 0.9 * 3.1845337876, 1e-9);
}

// A head over a tap, of which the logits are linear: softmax(z) - onehot times its weight is the gradient by the tap.
TEST(ObjectiveToolHeadTest, MakesLogitsThatDependOnTaps) {
  const at::Tensor tap = Grid(4, 0.4, 8, 0.25).sin().view({4, 2, 2, 2}), weight = Grid(5, 1, 8, 0.3).sin();
  at::Tensor p = at::softmax(at::mm(tap.flatten(1), weight.t()), 1);
  for (int64_t b = 0; b < 4; ++b) p[b][kd::Labels()[b].item<int64_t>()] -= 1;
  const at::Tensor gradient = at::mm(p, weight).view({4, 2, 2, 2});
  Tensors tensors = {{"student.s", tap},
                     {"labels", kd::Labels()},
                     {"student.head.weight", weight},
                     {"student.head.bias", at::zeros({5}, at::kDouble)},
                     {"teacher.gradient.t", gradient}};
  const std::string flag = absl::StrCat("--objective=term { gradient_attention { ", kPair, " } }");
  const testing::Finished same = RunTool({flag, "--tensors=" + Saved(tensors)});
  ASSERT_EQ(same.exit_code, 0) << same.err;
  EXPECT_NEAR(Values(same.out).at("total"), 0, 1e-20);
  tensors["teacher.gradient.t"] = gradient * 3;
  const testing::Finished other = RunTool({flag, "--tensors=" + Saved(tensors)});
  const double expected = (gradient.abs().mean(1) * (2.0 / 4)).square().mean().item<double>();
  EXPECT_NEAR(Values(other.out).at("total"), expected, 1e-9 * expected);
  tensors["student.head.weight"] = weight.slice(1, 1);
  const testing::Finished narrow = RunTool({flag, "--tensors=" + Saved(tensors)});
  EXPECT_EQ(narrow.exit_code, 78);
  EXPECT_THAT(narrow.err, HasSubstr("student.head.weight [5,7]: must be [K,8]"));
}

TEST(ObjectiveToolPartsTest, AreDrawnBySeedOrRead) {
  const std::string flag = absl::StrCat("--objective=term { hint { ", kPair, " projection { kind: CONV_1X1 } } }");
  const std::string in = Saved(EightChannels()), out = Temporary("parts.safetensors");
  const testing::Finished without = RunTool({flag, "--tensors=" + in});
  EXPECT_EQ(without.exit_code, 78);
  EXPECT_THAT(without.err, HasSubstr("objective.hint.0.conv.weight [8,6,1,1]"));
  EXPECT_THAT(without.err, HasSubstr("--seed"));
  const testing::Finished first = RunTool({flag, "--tensors=" + in, "--seed=3", "--out=" + out});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_GT(ReadAll(out).at("grad.objective.hint.0.conv.weight").norm().item<double>(), 0);
  EXPECT_EQ(RunTool({flag, "--tensors=" + in, "--seed=3"}).out, first.out);
  EXPECT_NE(RunTool({flag, "--tensors=" + in, "--seed=4"}).out, first.out);

  // Given ones: mean (bias - t)^2 of a convolution that is 0.
  Tensors tensors = EightChannels();
  tensors["objective.hint.0.conv.weight"] = at::zeros({8, 6, 1, 1}, at::kDouble);
  tensors["objective.hint.0.conv.bias"] = at::full({8}, 0.5, at::kDouble);
  const testing::Finished given = RunTool({flag, "--tensors=" + Saved(tensors)});
  ASSERT_EQ(given.exit_code, 0) << given.err;
  const double expected = (tensors["teacher.t"] - 0.5).square().mean().item<double>();
  EXPECT_NEAR(Values(given.out).at("total"), expected, 1e-9);
  tensors["objective.hint.0.conv.bias"] = at::zeros({7}, at::kDouble);
  tensors["objective.hint.1.conv.bias"] = at::zeros({8}, at::kDouble);
  const testing::Finished wrong = RunTool({flag, "--tensors=" + Saved(tensors)});
  EXPECT_EQ(wrong.exit_code, 78);
  EXPECT_THAT(wrong.err, HasSubstr("objective.hint.0.conv.bias"));
  EXPECT_THAT(wrong.err, HasSubstr("objective.hint.1.conv.bias"));
}

TEST(ObjectiveToolListTest, HasEveryTermOfTheSchema) {
  const testing::Finished finished = RunTool({"--list"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const google::protobuf::OneofDescriptor& terms = *config::Term::descriptor()->FindOneofByName("term");
  for (int i = 0; i < terms.field_count(); ++i) {
    EXPECT_THAT(finished.out, HasSubstr(absl::StrCat("\n\n", terms.field(i)->name(), "\n  formula  ")));
  }
  EXPECT_THAT(finished.out,
              HasSubstr("\ndkd\n"
                        "  formula  target_weight TCKD + non_target_weight NCKD: T^2 KL of (label, rest), "
                        "and among the rest\n"
                        "  reads    student.logits, teacher.logits, labels\n"
                        "  cache    logits\n"
                        "  source   Zhao et al., arXiv 2203.08679; megvii-research/mdistiller\n"));
  EXPECT_THAT(finished.out, HasSubstr("cache    reads no teacher"));
}

constexpr char kDistill[] = "--objective=term { distill { temperature: 1 } }";

TEST(ObjectiveToolErrorTest, NamesEveryTensorThatIsWrong) {
  Tensors tensors = LogitsAndLabels();
  tensors["teacher.tap"] = kd::TeacherMap(4, 4);
  tensors.erase("teacher.logits");
  const testing::Finished names = RunTool({kDistill, "--tensors=" + Saved(tensors)});
  EXPECT_EQ(names.exit_code, 78);
  EXPECT_THAT(names.err, HasSubstr("labels I64 [4]: not used"));
  EXPECT_THAT(names.err, HasSubstr("teacher.tap F64 [4,8,4,4]: not used"));
  EXPECT_THAT(names.err, HasSubstr("teacher.logits: missing"));
  EXPECT_THAT(names.err, HasSubstr("the objective reads student.logits, teacher.logits"));

  tensors = Logits();
  tensors["teacher.logits"] = kd::TeacherLogits().slice(0, 1);
  EXPECT_THAT(RunTool({kDistill, "--tensors=" + Saved(tensors)}).err,
              HasSubstr("teacher.logits F64 [3,5]: must begin with the number of images, 4 as before"));
  tensors["teacher.logits"] = kd::TeacherLogits().slice(1, 1);
  EXPECT_THAT(RunTool({kDistill, "--tensors=" + Saved(tensors)}).err,
              HasSubstr("distill: logits of the student [2,5] and of the teacher [2,4]"));
  tensors["teacher.logits"] = at::ones({4, 5}, at::kLong);
  EXPECT_THAT(RunTool({kDistill, "--tensors=" + Saved(tensors)}).err,
              HasSubstr("teacher.logits I64 [4,5]: must be F32 or F64"));
  const std::string mixed = Temporary("mixed.safetensors");
  ASSERT_EQ(
      nn::SaveTensors(
          mixed, {{"student.logits", kd::StudentLogits()}, {"teacher.logits", kd::TeacherLogits().to(at::kFloat)}}, {}),
      absl::OkStatus());
  EXPECT_THAT(RunTool({kDistill, "--tensors=" + mixed}).err,
              HasSubstr("teacher.logits F32 [4,5]: must be of the type of student.logits F64 [4,5]"));
}

TEST(ObjectiveToolErrorTest, RefusesLabelsBeyondTheClasses) {
  Tensors tensors = LogitsAndLabels();
  tensors.erase("teacher.logits");
  tensors["labels"] = kd::Labels() + 1;
  const testing::Finished finished = RunTool({"--objective=term { cross_entropy {} }", "--tensors=" + Saved(tensors)});
  EXPECT_EQ(finished.exit_code, 78);
  EXPECT_THAT(finished.err, HasSubstr("labels[3] = 5, but there are 5 classes"));
}

TEST(ObjectiveToolErrorTest, WritesNothingOfATotalThatIsNoNumber) {
  Tensors tensors = Logits();
  tensors["student.logits"][0][0] = std::nan("");
  const std::string out = Temporary("nan.safetensors");
  const testing::Finished finished = RunTool({kDistill, "--tensors=" + Saved(tensors), "--out=" + out});
  EXPECT_EQ(finished.exit_code, 65);
  EXPECT_THAT(finished.err, HasSubstr("the total is nan (distill = nan)"));
  EXPECT_FALSE(std::ifstream(out).good());
}

TEST(ObjectiveToolErrorTest, TellsWhatIsWrongWithItsFlags) {
  EXPECT_EQ(RunTool({}).exit_code, 64);
  EXPECT_EQ(RunTool({kDistill}).exit_code, 64);
  EXPECT_EQ(RunTool({kDistill, "--list"}).exit_code, 64);
  EXPECT_EQ(RunTool({kDistill, "--tensors=/nowhere/in"}).exit_code, 66);
  const std::string in = Saved(Logits());
  EXPECT_EQ(RunTool({kDistill, "--tensors=" + in, "--epoch=-1"}).exit_code, 64);
  EXPECT_NE(RunTool({kDistill, "--tensors=" + in, "--out=/nowhere/out"}).exit_code, 0);
  const testing::Finished range = RunTool({"--objective=term { distill { temperature: -1 } }", "--tensors=" + in});
  EXPECT_EQ(range.exit_code, 78);
  EXPECT_THAT(range.err, HasSubstr("--objective:1:18: term: distill: temperature: -1 is not in (0, 1000]"));
  const testing::Finished none = RunTool({"--objective=term { weight: 1 }", "--tensors=" + in});
  EXPECT_EQ(none.exit_code, 78);
  EXPECT_THAT(none.err, HasSubstr("cross_entropy"));
}

}  // namespace
}  // namespace retort::tools
