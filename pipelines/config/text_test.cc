#include "retort/pipelines/config/text.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::TextFormat;

struct Result {
  config::Pipeline pipeline;
  Said said;
  std::vector<Fault> faults;
  bool sound = false;
};

Result ReadPipeline(const std::string& text) {
  Result result;
  result.sound = ReadMessage(text, &result.pipeline, &result.said, &result.faults);
  return result;
}

// TextFormat, without its messages.
bool TextFormatReads(const std::string& text, config::Pipeline* pipeline) {
  class : public google::protobuf::io::ErrorCollector {
    void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
  } silent;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&silent);
  return parser.ParseFromString(text, pipeline);
}

constexpr char kText[] = R"(
    name : "a" 'b' "\n\x41" # a comment
    seed : 0x10 ; numerics < threads : 010 memory_format : CONTIGUOUS > ,
    stage { name : "n" ingest { cifar100 { fine : true } } }
    stage { augment : { count : 3 step [ { crop { pad : - 1 } } , { flip { probability : .5f } } ] } }
    stage { finetune { train { normalize { mean : [ 1 , 1e-3 , - inf ] std : nan } optimizer { sgd { nesterov : f } } } } }
    stage { distill { targets : "t" view_use : 1 replicates : 2147483647 train { validation { seed : 18446744073709551615 } } } }
    stage { report { run : "a" run : [ "b" , "c" ] run : [ ] } }
    deployment { store : "" } )";

TEST(ReadMessage, ReadsAsTextFormatDoes) {
  const Result result = ReadPipeline(kText);
  EXPECT_TRUE(result.sound);
  for (const Fault& fault : result.faults) ADD_FAILURE() << fault.what;
  config::Pipeline expected;
  ASSERT_TRUE(TextFormat::ParseFromString(kText, &expected));
  EXPECT_EQ(result.pipeline.DebugString(), expected.DebugString());
}

TEST(ReadMessage, AgreesWithTextFormatInCorners) {
  const std::vector<std::string> texts = {"seed: 1;",
                                          "seed: 1,",
                                          "seed: 1;,",
                                          "seed: 1;;",
                                          ";seed: 1",
                                          "seed: 1 ; name: 'a',",
                                          "seed 1",
                                          "seed: : 1",
                                          "seed: 18446744073709551615",
                                          "seed: 18446744073709551616",
                                          "seed: -0",
                                          "seed: 0xffffffffffffffff",
                                          "seed: 0x",
                                          "seed: 1.0",
                                          "seed: 1e3",
                                          "seed: 1f",
                                          "seed: '1'",
                                          "seed: [1]",
                                          "seed: {}",
                                          "seed:",
                                          "seed: 1name: 'a'",
                                          "numerics { threads: -2147483648 }",
                                          "numerics { threads: -2147483649 }",
                                          "numerics { threads: 2147483648 }",
                                          "numerics { threads: - 5 }",
                                          "numerics { threads: --5 }",
                                          "numerics { threads: 017 }",
                                          "numerics { threads: 08 }",
                                          "numerics { memory_format: 1 }",
                                          "numerics { memory_format: 2 }",
                                          "numerics { memory_format: -1 }",
                                          "numerics: { }",
                                          "numerics: < >",
                                          "numerics < }",
                                          "numerics { } }",
                                          "numerics [ { } ]",
                                          "numerics: 5",
                                          "numerics",
                                          "stage [ ]",
                                          "stage: [ { }, { } ]",
                                          "stage [ { }, ]",
                                          "stage [ { } { } ]",
                                          "stage [ < >, { } ]",
                                          "stage [ [ { } ] ]",
                                          "stage { report { run: ['a', 'b'] run: 'c' } }",
                                          "stage { report { run ['a'] } }",
                                          "stage { report { run: a } }",
                                          "stage { ingest { cifar100 { fine: 1 } } }",
                                          "stage { ingest { cifar100 { fine: 2 } } }",
                                          "stage { ingest { cifar100 { fine: TRUE } } }",
                                          "stage { ingest { cifar100 { fine: True } } }",
                                          "stage { ingest { cifar100 { fine: f } } }",
                                          "stage { ingest { cifar100 { fine: -1 } } }",
                                          "stage { augment { step { flip { probability: 010 } } } }",
                                          "stage { augment { step { flip { probability: 0x1 } } } }",
                                          "stage { augment { step { flip { probability: 0 } } } }",
                                          "stage { augment { step { flip { probability: -.5 } } } }",
                                          "stage { augment { step { flip { probability: 1.f } } } }",
                                          "stage { augment { step { flip { probability: INF } } } }",
                                          "stage { augment { step { flip { probability: -infinity } } } }",
                                          "stage { augment { step { flip { probability: in } } } }",
                                          "name: 'a' # b",
                                          "name: 'a\\'",
                                          "name: \"\\t\\x41\\101\\u00e9\"",
                                          "name: 'a' \"b\"",
                                          "name: 'a', 'b'",
                                          "Name: 'a'",
                                          "deployment { store: '' } deployment { }",
                                          "stage { ingest { } ingest { } }",
                                          "stage { ingest { } report { } }",
                                          "stage { cache_logits { data: 'a' views: 'b' } }",
                                          "{ }",
                                          "[x]: 1",
                                          "1: 2",
                                          "",
                                          "#",
                                          "/ seed: 1",
                                          "seed: 1 // x"};
  int accepted = 0;
  for (const std::string& text : texts) {
    SCOPED_TRACE(text);
    const Result result = ReadPipeline(text);
    config::Pipeline expected;
    const bool readable = TextFormatReads(text, &expected);
    EXPECT_EQ(result.sound && result.faults.empty(), readable);
    if (!readable) continue;
    ++accepted;
    EXPECT_EQ(result.pipeline.DebugString(), expected.DebugString());
  }
  EXPECT_GT(accepted, 25);
}

// TextFormat is the oracle: over random changes of words, the same texts are accepted, and read as the same message.
TEST(ReadMessage, AgreesWithTextFormatOnDamagedTexts) {
  const std::vector<std::string> original = absl::StrSplit(kText, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  const std::vector<std::string> words = {"{",          "}",       "<",
                                          ">",          "[",       "]",
                                          ":",          ";",       ",",
                                          "-",          "0",       "1",
                                          "2",          "0x1F",    "09",
                                          "1.5",        "1e400",   "3f",
                                          "inf",        "-1",      "nan",
                                          "true",       "t",       "True",
                                          "\"x\"",      "'y'",     "name",
                                          "stage",      "cifar10", "count",
                                          "KL",         "FP16",    "seed",
                                          "2147483648", "train",   "data",
                                          "{ }",        "x",       "18446744073709551616",
                                          "step",       "crop",    "pad",
                                          "run",        "TEST",    "#",
                                          "\"",         "/",       ".",
                                          "-0",         "1.",      "00"};
  std::mt19937 random(20260102);
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  int accepted = 0;
  constexpr int kTexts = 20000;
  for (int i = 0; i < kTexts; ++i) {
    std::vector<std::string> text = original;
    const size_t changes = 1 + below(2);
    for (size_t j = 0; j < changes; ++j) {
      const size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = words[below(words.size())];
          break;
        case 1:
          text.insert(text.begin() + static_cast<std::ptrdiff_t>(at), words[below(words.size())]);
          break;
        case 2:
          text.erase(text.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        default:
          std::swap(text[at], text[below(text.size())]);
      }
    }
    // A line a word, so that a comment sign takes away one word and not the rest.
    const std::string damaged = absl::StrJoin(text, below(2) == 0 ? "\n" : " ");
    SCOPED_TRACE(damaged);
    const Result result = ReadPipeline(damaged);
    config::Pipeline expected;
    const bool readable = TextFormatReads(damaged, &expected);
    ASSERT_EQ(result.sound && result.faults.empty(), readable)
        << (result.faults.empty() ? "no fault" : result.faults[0].what);
    if (!readable) continue;
    ++accepted;
    ASSERT_EQ(result.pipeline.DebugString(), expected.DebugString());
  }
  EXPECT_GT(accepted, kTexts / 20);
  EXPECT_LT(accepted, kTexts / 2);
}

TEST(ReadMessage, SurvivesAnyBytes) {
  std::mt19937 random(20260103);
  for (int i = 0; i < 5000; ++i) {
    std::string text = kText;
    for (int j = 0; j < 5; ++j) {
      text[std::uniform_int_distribution<size_t>(0, text.size() - 1)(random)] =
          static_cast<char>(std::uniform_int_distribution<int>(-128, 127)(random));
    }
    const Result result = ReadPipeline(text);
    config::Pipeline expected;
    // Strings over several lines are the one thing that is refused here alone.
    if (result.sound && result.faults.empty()) {
      EXPECT_TRUE(TextFormatReads(text, &expected)) << text;
    }
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "stage { unknown { ";
  EXPECT_FALSE(ReadPipeline(deep).sound);
}

TEST(ReadMessage, RemembersPlaces) {
  const Result result = ReadPipeline("name: \"x\"\nstage {\n  name: \"s\"\n  report { run: [\"a\",\n    \"b\"] }\n}\n");
  const Said* stage = result.said.Find(config::Pipeline::kStageFieldNumber, 0);
  ASSERT_NE(stage, nullptr);
  EXPECT_EQ(stage->place.line, 2);
  EXPECT_EQ(stage->place.column, 1);
  const Said* report = stage->Find(config::Stage::kReportFieldNumber, 0);
  ASSERT_NE(report, nullptr);
  EXPECT_EQ(report->place.column, 3);
  EXPECT_EQ(report->Find(config::Report::kRunFieldNumber, 1)->place.line, 5);
  EXPECT_EQ(report->Find(config::Report::kRunFieldNumber, 2), nullptr);
}

}  // namespace
}  // namespace retort::pipelines
