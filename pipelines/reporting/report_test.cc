#include "retort/pipelines/reporting/report.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/pipelines/reporting/page_files.h"

namespace retort::pipelines {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ReportReplicate Replicate(uint64_t seed, double accuracy, double loss, double seconds) {
  ReportReplicate replicate;
  replicate.seed = seed;
  replicate.accuracy = accuracy;
  replicate.loss = loss;
  replicate.ece = loss / 10;
  replicate.seconds = seconds;
  replicate.images_per_second = 100 / seconds;
  replicate.key = "0123456789abcdef0123456789abcdef";
  return replicate;
}

const ReportImages kTest = {"cifar10", "test", 10000};

// A teacher of one seed and a student of three: accuracies 70, 71 and 72.
ReportData TwoRuns() {
  ReportData data{"tiny", {}};
  const ReportRun teacher = {.name = "teacher",
                             .kind = "finetune",
                             .model = "deep_nn",
                             .objective = "cross_entropy",
                             .images = kTest,
                             .parameters = 1186986,
                             .macs = 8.5e6,
                             .class_names = {},
                             .confusion = {},
                             .calibration = {},
                             .replicates = {Replicate(7, 0.8, 0.625, 1234.5)}};
  ReportRun student = {
      .name = "student",
      .kind = "distill",
      .model = "light_nn",
      .objective = "0.75 cross_entropy + 0.25 distill",
      .images = kTest,
      .parameters = 267738,
      .macs = 1234e6,
      .class_names = {"cat", "dog"},
      .confusion = {3, 1, 0, 0},
      .calibration = {{0, 0, 0}, {4, 3, 3.5}},
      .replicates = {Replicate(7, 0.70, 0.90, 10), Replicate(8, 0.71, 0.95, 11), Replicate(9, 0.72, 1.00, 12.9)}};
  student.replicates[0].epochs = {{1, 2.25, 0.25, 2.0, 0.5}, {2, 1.5, 0.5, kNan, kNan}};
  data.runs = {teacher, student};
  return data;
}

TEST(ReportTable, AlignsMeansAndDeviations) {
  // Mean 71, standard deviation of 70, 71, 72 with n - 1 = 2 below the line: 1. Loss 0.90, 0.95, 1.00: 0.95 and 0.05.
  EXPECT_EQ(ReportTable(TwoRuns()), R"(tiny: cifar10, 10,000 test images

run      kind      model     seeds   accuracy, %   gain             loss       ECE, %
teacher  finetune  deep_nn       1         80.00      –           0.6250         6.25
student  distill   light_nn      3  71.00 ± 1.00  -9.00  0.9500 ± 0.0500  9.50 ± 0.50

gain: accuracy less that of the first run on the same images, in percentage points

costs

run      parameters  ratio  MACs, M  seconds  images/s
teacher   1,186,986   1.00     8.50    1,235       0.1
student     267,738   4.43    1,234     11.3       8.9
)");
}

// On the test images, on the training images, and on images of another data set.
ReportData OnDifferentImages() {
  ReportData data = TwoRuns();
  for (const ReportImages& images : {kTest, ReportImages{"cifar10", "training", 50000},
                                     ReportImages{"cifar10", "training", 50000}, ReportImages{"svhn", "test", 26032}}) {
    ReportRun run;
    run.name = absl::StrCat("check", data.runs.size());
    run.kind = "evaluate";
    run.images = images;
    run.replicates = {Replicate(7, 0.9 + 0.01 * static_cast<double>(data.runs.size()), 1, 1)};
    data.runs.push_back(run);
  }
  return data;
}

TEST(ReportTable, ComparesRunsOfTheSameImagesOnly) {
  const std::string table = ReportTable(OnDifferentImages());
  EXPECT_THAT(table, HasSubstr("tiny: cifar10, 10,000 test images; cifar10, 50,000 training images; svhn, 26,032 test "
                               "images\n"));
  for (const char* row :
       {"teacher +finetune +deep_nn +cifar10 test .* 80.00 +– ", "student .* cifar10 test .* -9.00 ",
        "check2 +evaluate +cifar10 test .* 92.00 +\\+12.00 ", "check3 .* cifar10 training .* 93.00 +– ",
        "check4 .* cifar10 training .* 94.00 +\\+1.00 ", "check5 .* svhn test .* 95.00 +– "}) {
    EXPECT_THAT(table, ContainsRegex(row));
  }
}

// The student of TwoRuns and an evaluation of it: agreements 60 and 70, so 65 and sqrt(50).
ReportData WithTeacher() {
  ReportData data = TwoRuns();
  ReportRun held;
  held.name = "held";
  held.kind = "evaluate";
  held.images = kTest;
  held.parameters = 267738;
  held.macs = kNan;
  held.replicates = {Replicate(7, 0.7, 0.9, 1), Replicate(8, 0.71, 0.95, 1)};
  for (ReportReplicate& replicate : held.replicates) replicate.images_per_second = kNan;
  held.replicates[0].fidelity = ReportFidelity{0.6, 0.25, 0.5, 0.8, 0.625, 0.0625};
  held.replicates[1].fidelity = ReportFidelity{0.7, 0.75, kNan, 0.8, 0.625, 0.0625};
  data.runs.push_back(held);
  return data;
}

TEST(ReportMarkdown, HasTheTables) {
  ReportData data = WithTeacher();
  data.runs[1].name = "a|b";
  EXPECT_EQ(ReportMarkdown(data), R"(# tiny

cifar10, 10,000 test images. Mean ± standard deviation over seeds.

| run | kind | model | seeds | accuracy, % | gain | loss | ECE, % |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
| teacher | finetune | deep_nn | 1 | 80.00 | – | 0.6250 | 6.25 |
| a\|b | distill | light_nn | 3 | 71.00 ± 1.00 | -9.00 | 0.9500 ± 0.0500 | 9.50 ± 0.50 |
| held | evaluate |  | 2 | 70.50 ± 0.71 | -9.50 | 0.9250 ± 0.0354 | 9.25 ± 0.35 |

Gain: accuracy less that of the first run on the same images, in percentage points.

## Costs

| run | parameters | ratio | MACs, M | seconds | images/s |
| --- | ---: | ---: | ---: | ---: | ---: |
| teacher | 1,186,986 | 1.00 | 8.50 | 1,235 | 0.1 |
| a\|b | 267,738 | 4.43 | 1,234 | 11.3 | 8.9 |
| held | 267,738 | 4.43 | – | 1.0 | – |

## Against the teacher

| run | agreement, % | KL | CKA | teacher's accuracy, % | teacher's loss | teacher's ECE, % |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| held | 65.00 ± 7.07 | 0.5000 ± 0.3536 | – | 80.00 | 0.6250 | 6.25 |
)");
}

TEST(ReportHtml, SaysWhatEachRowWasMeasuredOn) {
  EXPECT_THAT(ReportHtml(OnDifferentImages()), HasSubstr("<td class=\"\">cifar10 training</td>"));
  EXPECT_THAT(ReportHtml(TwoRuns()), Not(HasSubstr(">cifar10 test</td>")));
}

TEST(ReportJson, SaysWhatEachRunWasMeasuredOn) {
  const auto json = nlohmann::json::parse(ReportJson(OnDifferentImages()));
  EXPECT_EQ(json["runs"][3]["images"],
            nlohmann::json({{"dataset", "cifar10"}, {"split", "training"}, {"count", 50000}}));
}

TEST(ReportTable, HoldsRunsAgainstTheirTeacher) {
  EXPECT_THAT(ReportTable(WithTeacher()), HasSubstr(R"(
against the teacher

run   agreement, %               KL  CKA  teacher's accuracy, %  teacher's loss  teacher's ECE, %
held  65.00 ± 7.07  0.5000 ± 0.3536    –                  80.00          0.6250              6.25
)"));
  EXPECT_THAT(ReportTable(TwoRuns()), Not(HasSubstr("against")));
}

TEST(ReportJson, HoldsRunsAgainstTheirTeacher) {
  const auto json = nlohmann::json::parse(ReportJson(WithTeacher()));
  EXPECT_TRUE(json["runs"][0]["fidelity"].is_null());
  const auto& fidelity = json["runs"][2]["fidelity"];
  EXPECT_DOUBLE_EQ(fidelity["agreement"]["mean"], 0.65);
  EXPECT_DOUBLE_EQ(fidelity["kl"]["mean"], 0.5);
  EXPECT_TRUE(fidelity["cka"]["mean"].is_null());
  EXPECT_DOUBLE_EQ(fidelity["teacher_accuracy"]["mean"], 0.8);
  EXPECT_DOUBLE_EQ(fidelity["teacher_loss"]["mean"], 0.625);
  EXPECT_DOUBLE_EQ(fidelity["teacher_ece"]["std"], 0);
}

TEST(ReportTable, SaysNothingOfGainForOneRun) {
  ReportData data = TwoRuns();
  data.runs.resize(1);
  EXPECT_THAT(ReportTable(data), Not(HasSubstr("gain:")));
}

TEST(ReportTable, MarksNumbersThatAreNotThere) {
  ReportData data = TwoRuns();
  data.runs[0].replicates.clear();
  data.runs[1].replicates = {Replicate(7, 0.7, kNan, 1)};
  EXPECT_THAT(ReportTable(data),
              AllOf(HasSubstr("\nteacher  finetune  deep_nn       0            –     –     –       –\n"
                              "student  distill   light_nn      1        70.00     –     –       –\n"),
                    HasSubstr("\nteacher   1,186,986   1.00     8.50        –         –\n"
                              "student     267,738   4.43    1,234      1.0       100\n")));
}

TEST(ReportTable, BearsNoRuns) { EXPECT_THAT(ReportTable({"p", {}}), HasSubstr("p: \n")); }

TEST(ReportJson, HasEveryNumberInOrder) {
  ReportData data = TwoRuns();
  data.runs.erase(data.runs.begin());
  data.runs[0].replicates.resize(1);
  EXPECT_EQ(ReportJson(data), R"({
  "schema_version": 2,
  "pipeline": "tiny",
  "runs": [
    {
      "name": "student",
      "kind": "distill",
      "model": "light_nn",
      "objective": "0.75 cross_entropy + 0.25 distill",
      "images": {
        "dataset": "cifar10",
        "split": "test",
        "count": 10000
      },
      "parameters": 267738,
      "macs": 1234000000.0,
      "accuracy": {
        "mean": 0.7,
        "std": null
      },
      "loss": {
        "mean": 0.9,
        "std": null
      },
      "ece": {
        "mean": 0.09,
        "std": null
      },
      "seconds": {
        "mean": 10.0,
        "std": null
      },
      "images_per_second": {
        "mean": 10.0,
        "std": null
      },
      "fidelity": null,
      "classes": [
        {
          "name": "cat",
          "images": 4,
          "accuracy": 0.75
        },
        {
          "name": "dog",
          "images": 0,
          "accuracy": null
        }
      ],
      "confusion": [
        [
          3,
          1
        ],
        [
          0,
          0
        ]
      ],
      "calibration": [
        {
          "images": 0,
          "accuracy": null,
          "confidence": null
        },
        {
          "images": 4,
          "accuracy": 0.75,
          "confidence": 0.875
        }
      ],
      "replicates": [
        {
          "seed": 7,
          "accuracy": 0.7,
          "loss": 0.9,
          "ece": 0.09,
          "seconds": 10.0,
          "key": "0123456789abcdef0123456789abcdef",
          "epochs": {
            "epoch": [
              1,
              2
            ],
            "loss": [
              2.25,
              1.5
            ],
            "accuracy": [
              0.25,
              0.5
            ],
            "validation_loss": [
              2.0,
              null
            ],
            "validation_accuracy": [
              0.5,
              null
            ]
          }
        }
      ]
    }
  ]
}
)");
}

TEST(ReportJson, HasMeanAndDeviationOverSeeds) {
  const auto json = nlohmann::json::parse(ReportJson(TwoRuns()));
  EXPECT_DOUBLE_EQ(json["runs"][1]["accuracy"]["mean"], 0.71);
  EXPECT_NEAR(json["runs"][1]["accuracy"]["std"], 0.01, 1e-15);
  EXPECT_DOUBLE_EQ(json["runs"][1]["seconds"]["mean"], 11.3);
}

TEST(ReportJson, KeepsAllBitsOfASeed) {
  ReportData data = TwoRuns();
  data.runs[0].replicates[0].seed = 18446744073709551615u;
  EXPECT_THAT(ReportJson(data), HasSubstr("\"seed\": 18446744073709551615,"));
  EXPECT_THAT(ReportHtml(data), HasSubstr("\"seed\":\"18446744073709551615\""));
}

TEST(ReportJson, ReplacesWhatIsNoUtf8) {
  ReportData data = TwoRuns();
  data.runs[0].name = "a\xff";
  EXPECT_EQ(nlohmann::json::parse(ReportJson(data))["runs"][0]["name"], "a\uFFFD");
}

// What a browser makes of a page, as far as it matters here: tags outside and raw text inside <script> and <style>.
struct Parsed {
  std::vector<std::string> faults;
  std::vector<std::string> tags;     // opening, as written between < and >
  std::vector<std::string> scripts;  // contents
  std::string text;                  // between tags
};

Parsed Parse(absl::string_view html) {
  Parsed parsed;
  std::vector<std::string> open;
  while (!html.empty()) {
    const size_t tag_start = html.find('<');
    absl::StrAppend(&parsed.text, html.substr(0, tag_start));
    if (tag_start == absl::string_view::npos) break;
    html.remove_prefix(tag_start + 1);
    if (html.substr(0, 3) == "!--") {
      html.remove_prefix(html.find("-->") + 3);
      continue;
    }
    const size_t tag_end = html.find('>');
    if (tag_end == absl::string_view::npos) {
      parsed.faults.push_back("a tag without an end");
      break;
    }
    const absl::string_view tag = html.substr(0, tag_end);
    html.remove_prefix(tag_end + 1);
    const std::string name(tag.substr(0, tag.find_first_of(" \n")));
    if (name == "!DOCTYPE" || name == "meta" || name == "input") {
      parsed.tags.emplace_back(tag);
    } else if (name[0] == '/') {
      if (open.empty() || "/" + open.back() != name) {
        parsed.faults.push_back(absl::StrCat("<", name, "> closes ", open.empty() ? "nothing" : open.back()));
        break;
      }
      open.pop_back();
    } else {
      parsed.tags.emplace_back(tag);
      open.push_back(name);
      if (name == "script" || name == "style") {
        const size_t end = html.find("</" + name);
        if (name == "script") parsed.scripts.emplace_back(html.substr(0, end));
        html.remove_prefix(std::min(end, html.size()));
      }
    }
  }
  for (const std::string& name : open) parsed.faults.push_back(absl::StrCat(name, " is not closed"));
  return parsed;
}

TEST(ReportHtml, IsWellFormed) {
  const Parsed page = Parse(ReportHtml(TwoRuns()));
  EXPECT_THAT(page.faults, IsEmpty());
  ASSERT_EQ(page.scripts.size(), 3);
  EXPECT_EQ(page.scripts[1], PlotlyJs());
  EXPECT_THAT(page.text, Not(HasSubstr("{{")));
}

TEST(ReportHtml, HasTheTable) {
  const Parsed page = Parse(ReportHtml(TwoRuns()));
  for (const char* text : {"teacher", "student", "1,186,986", "267,738", "71.00 ± 1.00", "-9.00", "0.9500 ± 0.0500",
                           "11.3", "0.75 cross_entropy + 0.25 distill", "0123456789abcdef"}) {
    EXPECT_THAT(page.text, HasSubstr(text));
  }
}

TEST(ReportHtml, HasFidelityWhereThereIsATeacher) {
  const Parsed page = Parse(ReportHtml(WithTeacher()));
  EXPECT_THAT(page.faults, IsEmpty());
  EXPECT_THAT(page.text, HasSubstr("Fidelity to the teacher"));
  EXPECT_THAT(page.text, HasSubstr("65.00 ± 7.07"));
  EXPECT_THAT(Parse(ReportHtml(TwoRuns())).text, Not(HasSubstr("Fidelity")));
}

TEST(ReportHtml, CarriesTheDataOfTheJson) {
  const Parsed page = Parse(ReportHtml(TwoRuns()));
  auto expected = nlohmann::json::parse(ReportJson(TwoRuns()));
  for (auto& run : expected["runs"]) {
    for (auto& replicate : run["replicates"]) replicate["seed"] = absl::StrCat(replicate["seed"].get<uint64_t>());
  }
  EXPECT_EQ(nlohmann::json::parse(page.scripts[0]), expected);
}

TEST(ReportHtml, HasTheConfigAndTheCommand) {
  ReportData data = TwoRuns();
  data.config = "name: \"tiny\"\nseed: 3 # <b>\n";
  const Parsed page = Parse(ReportHtml(data));
  EXPECT_THAT(page.faults, IsEmpty());
  EXPECT_THAT(page.text, HasSubstr("name: &quot;tiny&quot;\nseed: 3 # &lt;b&gt;\n"));
  EXPECT_THAT(page.text, HasSubstr("./bazelw run //pipelines:report -- --config=$PWD/tiny.textproto"));
}

TEST(ReportHtml, LoadsNothing) {
  const Parsed page = Parse(ReportHtml(TwoRuns()));
  for (const std::string& tag : page.tags) {
    EXPECT_THAT(tag, Not(HasSubstr("src="))) << tag;
    EXPECT_THAT(tag, Not(HasSubstr("href="))) << tag;
    EXPECT_THAT(tag, Not(HasSubstr("http:"))) << tag;
  }
  EXPECT_THAT(page.tags, ::testing::Contains(HasSubstr("default-src 'none'")));
  for (absl::string_view own : {PageCss(), PageJs()}) {
    EXPECT_THAT(own, Not(HasSubstr("://")));
    EXPECT_THAT(own, Not(HasSubstr("@import")));
    EXPECT_THAT(own, Not(HasSubstr("url(")));
    EXPECT_THAT(own, Not(HasSubstr("fetch")));
  }
}

TEST(ReportHtml, TakesNamesAsTextOnly) {
  ReportData data = TwoRuns();
  data.pipeline = "</title><script>alert(0)</script>";
  data.runs[1].images.dataset = "<!--";
  data.runs[0].name = "</script><script>alert(1)</script>";
  data.runs[0].kind = "<!-- <script>";
  data.runs[0].model = "{{script}}";
  data.runs[0].objective = "\"quoted\" 'and' a&b";
  data.runs[1].class_names[0] = "</script>";
  data.runs[0].replicates[0].key = "\"><img src=x onerror=alert(2)>";
  const Parsed page = Parse(ReportHtml(data));
  ASSERT_THAT(page.faults, IsEmpty());
  // Neither more tags nor more scripts than with harmless names.
  ReportData harmless = TwoRuns();
  harmless.runs[1].images.dataset = "svhn";
  EXPECT_EQ(page.tags.size(), Parse(ReportHtml(harmless)).tags.size());
  ASSERT_EQ(page.scripts.size(), 3);
  EXPECT_THAT(page.text, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(page.text, HasSubstr("&quot;quoted&quot; &#39;and&#39; a&amp;b"));
  EXPECT_THAT(page.text, HasSubstr("{{script}}"));
  EXPECT_EQ(nlohmann::json::parse(page.scripts[0])["runs"][0]["name"], data.runs[0].name);
  EXPECT_THAT(page.scripts[0], Not(HasSubstr("<")));
}

TEST(ReportHtml, BearsRunsWithoutEpochsReplicatesOrNumbers) {
  ReportData data = TwoRuns();
  data.runs[0].replicates.clear();
  data.runs[1].replicates = {Replicate(7, kNan, kNan, kNan)};
  const Parsed page = Parse(ReportHtml(data));
  EXPECT_THAT(page.faults, IsEmpty());
  EXPECT_TRUE(nlohmann::json::parse(page.scripts[0])["runs"][1]["accuracy"]["mean"].is_null());
  EXPECT_THAT(Parse(ReportHtml({"p", {}})).faults, IsEmpty());
}

// What the page relies on in the library.
TEST(PlotlyJs, CanStandInsideAScript) {
  EXPECT_GT(PlotlyJs().size(), 1000000);
  EXPECT_THAT(PlotlyJs().substr(0, 200), HasSubstr("plotly.js v"));
  const std::string lower = absl::AsciiStrToLower(PlotlyJs());
  EXPECT_EQ(lower.find("</script"), std::string::npos);
  EXPECT_EQ(lower.find("<!--"), std::string::npos);
}

}  // namespace
}  // namespace retort::pipelines
