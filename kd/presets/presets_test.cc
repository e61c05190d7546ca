#include "retort/kd/presets/presets.h"

#include <set>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/kd/objective.h"

namespace retort::kd {
namespace {

config::Objective Parse(const std::string& text) {
  config::Objective config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

constexpr char kHard[] = "term { weight: 1 cross_entropy { } }\n";

struct Case {
  std::string name;
  std::string options;
  std::string terms;
};

// Weights as the sources of kd/preset.proto have them.
const std::vector<Case>& Cases() {
  static const auto* const cases = new std::vector<Case>{
      {"hinton_kd", "",
       "term { weight: 0.1 cross_entropy { } }\n"
       "term { weight: 0.9 distill { temperature: 4 } }\n"},
      {"born_again", "", "term { weight: 1 distill { temperature: 1 } }\n"},
      {"function_matching", "", "term { weight: 1 distill { temperature: 1 } }\n"},
      {"logit_standardization", "",
       "term { weight: 0.1 cross_entropy { } }\n"
       "term { weight: 9 distill { temperature: 2 standardize: true } }\n"},
      {"dkd", "",
       std::string(kHard) + "term { weight: 1 weight_schedule { linear { epochs: 20 } } "
                            "dkd { temperature: 4 target_weight: 1 non_target_weight: 8 } }\n"},
      {"dist", "", std::string(kHard) + "term { weight: 2 dist { temperature: 4 } }\n"},
      {"multi_level", "",
       "term { weight: 0.1 cross_entropy { } }\n"
       "term { weight: 0.9 multi_level { temperature: 4 temperature: 3 temperature: 5 temperature: 2 temperature: 6 } "
       "}\n"},
      {"deit", "",
       "term { weight: 0.5 cross_entropy { } }\n"
       "term { weight: 0.5 distillation_token { hard { } } }\n"},
      {"teacher_free", "",
       "term { weight: 0.9 cross_entropy { } }\n"
       "term { weight: 0.1 teacher_free { label_probability: 0.99 temperature: 20 as_published: false } }\n"},
      {"cs_kd", "", std::string(kHard) + "term { weight: 1 class_wise { temperature: 4 } }\n"},
      {"attention_transfer", "pair { student: 'a' teacher: 'x' } pair { student: 'b' teacher: 'y' }",
       std::string(kHard) + "term { weight: 1000 attention { pair { student: \"a\" teacher: \"x\" } pair { student: "
                            "\"b\" teacher: \"y\" "
                            "} } }\n"},
      {"input_gradient_transfer", "soft: 3", std::string(kHard) + "term { weight: 3 input_gradient { } }\n"},
      {"fitnets", "pair { student: 'a' teacher: 'x' }",
       std::string(kHard) +
           "term { weight: 100 hint { pair { student: \"a\" teacher: \"x\" } projection { kind: CONV_TO_SIZE "
           "batch_norm: true relu: true } } }\n"},
      {"nst", "pair { student: 'a' teacher: 'x' }",
       std::string(kHard) + "term { weight: 50 nst { pair { student: \"a\" teacher: \"x\" } } }\n"},
      {"sp", "pair { student: 'a' teacher: 'x' }",
       std::string(kHard) + "term { weight: 3000 similarity_preserving { pair { student: \"a\" teacher: \"x\" } } }\n"},
      {"fsp", "pair { student: 'a' teacher: 'x' } pair { student: 'b' teacher: 'y' }",
       "term { weight: 1 fsp { pair { student: \"a\" teacher: \"x\" } pair { student: \"b\" teacher: \"y\" } } }\n"},
      {"factor_transfer", "pair { student: 'a' teacher: 'x' }",
       std::string(kHard) + "term { weight: 200 factor_transfer { pair { student: \"a\" teacher: \"x\" } } }\n"},
      {"ab", "pair { student: 'a' teacher: 'x' }",
       "term { weight: 1 activation_boundary { pair { student: \"a\" teacher: \"x\" } projection { kind: CONV_1X1 "
       "batch_norm: true } } }\n"},
      {"vid", "pair { student: 'a' teacher: 'x' }",
       std::string(kHard) + "term { weight: 1 vid { pair { student: \"a\" teacher: \"x\" } } }\n"},
      {"ofd", "pair { student: 'a' teacher: 'x' }",
       std::string(kHard) + "term { weight: 0.001 ofd { pair { student: \"a\" teacher: \"x\" } } }\n"},
      {"review_kd", "pair { student: 'a' teacher: 'x' } pair { student: 'b' teacher: 'y' }",
       std::string(kHard) +
           "term { weight: 1 weight_schedule { linear { epochs: 20 } } review_kd { pair { student: \"a\" teacher: "
           "\"x\" } pair { student: \"b\" teacher: \"y\" } } }\n"},
      {"sim_kd", "pair { student: 'a' teacher: 'x' }",
       "term { weight: 1 sim_kd { pair { student: \"a\" teacher: \"x\" } } }\n"},
      {"rkd", "", std::string(kHard) + "term { weight: 1 rkd { distance_weight: 25 angle_weight: 50 } }\n"},
      {"pkt", "", std::string(kHard) + "term { weight: 30000 pkt { } }\n"},
      {"cc", "", std::string(kHard) + "term { weight: 0.02 correlation_congruence { neighbours { width: 128 } } }\n"},
      {"crd", "",
       std::string(kHard) +
           "term { weight: 0.8 crd { width: 128 negatives: 16384 temperature: 0.07 momentum: 0.5 } }\n"},
  };
  return *cases;
}

class PresetsTest : public ::testing::TestWithParam<Case> {};

TEST_P(PresetsTest, AreTheTermsOfTheirPaper) {
  const Case& test = GetParam();
  const config::Objective preset = Parse("preset { " + test.name + " { " + test.options + " } }");
  const config::Objective expanded = Expanded(preset);
  EXPECT_FALSE(expanded.has_preset());
  EXPECT_EQ(TermLines(expanded), test.terms);
  EXPECT_TRUE(Objective::Create(expanded).ok());
  // The text is that of the very objective.
  EXPECT_EQ(Parse(TermLines(expanded)).SerializeAsString(), expanded.SerializeAsString());
}

INSTANTIATE_TEST_SUITE_P(All, PresetsTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

TEST(PresetsSchemaTest, HasNoOther) {
  const google::protobuf::OneofDescriptor& papers = *config::Preset::descriptor()->FindOneofByName("paper");
  std::set<std::string> known;
  for (const Case& test : Cases()) known.insert(test.name);
  for (int i = 0; i < papers.field_count(); ++i) EXPECT_EQ(known.count(papers.field(i)->name()), 1u);
  EXPECT_EQ(static_cast<int>(known.size()), papers.field_count());
}

TEST(ExpandedTest, TakesOptionsAndLeavesOutWhatHasNoWeight) {
  const auto lines = [](const std::string& text) { return TermLines(Expanded(Parse(text))); };
  EXPECT_EQ(lines("preset { hinton_kd { temperature: 2.5 hard: 0.3 soft: 0.7 } }"),
            "term { weight: 0.3 cross_entropy { } }\nterm { weight: 0.7 distill { temperature: 2.5 } }\n");
  EXPECT_EQ(lines("preset { hinton_kd { hard: 0 } }"), "term { weight: 0.9 distill { temperature: 4 } }\n");
  EXPECT_EQ(lines("preset { hinton_kd { soft: 0 } }"), "term { weight: 0.1 cross_entropy { } }\n");
  EXPECT_EQ(lines("preset { dkd { warmup_epochs: 0 non_target_weight: 2 } }"),
            std::string(kHard) + "term { weight: 1 dkd { temperature: 4 target_weight: 1 non_target_weight: 2 } }\n");
  EXPECT_EQ(lines("preset { deit { form: PROBABILITIES temperature: 3 hard: 0.9 soft: 0.1 } }"),
            "term { weight: 0.9 cross_entropy { } }\n"
            "term { weight: 0.1 distillation_token { soft { temperature: 3 } } }\n");
  EXPECT_EQ(lines("preset { teacher_free { as_published: true soft: 10 } }"),
            "term { weight: 0.9 cross_entropy { } }\n"
            "term { weight: 10 teacher_free { label_probability: 0.99 temperature: 20 as_published: true } }\n");
}

TEST(ExpandedTest, KeepsListedTermsBehindThePreset) {
  EXPECT_EQ(TermLines(Expanded(Parse("term { weight: 2 distill { } } preset { pkt { } }"))),
            std::string(kHard) + "term { weight: 30000 pkt { } }\nterm { weight: 2 distill { } }\n");
  const config::Objective plain = Parse("term { weight: 2 distill { } }");
  EXPECT_EQ(Expanded(plain).SerializeAsString(), plain.SerializeAsString());
}

}  // namespace
}  // namespace retort::kd
