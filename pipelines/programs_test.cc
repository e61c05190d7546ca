// The real programs on a tiny experiment: what a user sees.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/pipelines/store/artifact_store.h"
#include "retort/testing/new_folder.h"
#include "retort/testing/subprocess.h"

namespace retort::pipelines {
namespace {

using retort::testing::Finished;
using retort::testing::RunfilePath;
using retort::testing::RunProgram;
using retort::testing::Subprocess;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// Two replicates of a student, stored views and targets, validation, augmentation, a report: every kind of stage but
// evaluate.
constexpr char kTiny[] = R"(
name: "tiny"
seed: 3
stage { name: "images" ingest { procedural { train_size: 600 test_size: 100 } } }
stage {
  name: "teacher"
  finetune {
    data: "images"
    model { deep_nn { conv1: 8 conv2: 8 conv3: 8 conv4: 8 hidden: 16 } }
    objective { term { cross_entropy { } } }
    train { epochs: 2 batch_size: 32 optimizer { adam { } } schedule { cosine { } } augment { flip { } }
            validation { fraction: 0.2 } }
  }
}
stage { name: "views" augment { data: "images" count: 2 step { crop { pad: 2 } } step { flip { } } } }
stage { name: "targets" cache_logits { views: "views" teacher: "teacher" store { embedding: true } } }
stage {
  name: "student"
  distill {
    targets: "targets"
    model { light_nn { conv1: 4 conv2: 4 hidden: 16 } }
    objective { term { weight: 0.5 cross_entropy { } } term { weight: 0.5 distill { } } }
    train { epochs: 3 batch_size: 32 optimizer { sgd { learning_rate: 0.05 } } }
    replicates: 2
  }
}
stage { name: "results" report { run: "teacher" run: "student" } }
)";

class ProgramsTest : public ::testing::Test {
 protected:
  void SetUp() override { Write("tiny.textproto", kTiny); }

  std::string Path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
  }

  std::vector<std::string> Command(const std::string& program, const std::string& store,
                                   std::vector<std::string> more = {}) const {
    std::vector<std::string> command = {RunfilePath("pipelines/" + program), "--config=" + Path("tiny.textproto"),
                                        "--store=" + Path(store)};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  // SHA-256 of every model and metrics file in a store, by the key of its artifact.
  std::map<std::string, std::string> Results(const std::string& store) const {
    std::map<std::string, std::string> results;
    const auto opened = ArtifactStore::Open(Path(store));
    EXPECT_TRUE(opened.ok()) << opened.status();
    const auto entries = opened->List(/*verify=*/true);
    EXPECT_TRUE(entries.ok()) << entries.status();
    for (const ArtifactStore::Entry& entry : *entries) {
      EXPECT_TRUE(entry.artifact.ok()) << entry.folder << ": " << entry.artifact.status();
      if (!entry.artifact.ok()) continue;
      for (const config::Artifact::File& file : entry.artifact->manifest.file()) {
        if (entry.kind == "report") continue;  // holds wall times
        results[absl::StrCat(entry.kind, " ", entry.artifact->manifest.key(), " ", file.name())] = file.sha256();
      }
    }
    return results;
  }

  const std::string folder_ = retort::testing::NewFolder();
};

TEST_F(ProgramsTest, RunsOnceAndThenFindsEverything) {
  const Finished first = RunProgram(Command("distill", "store", {"--set=deployment.tensorboard=" + Path("curves")}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::vector<std::string> lines = absl::StrSplit(first.out, '\n', absl::SkipEmpty());
  ASSERT_FALSE(lines.empty());
  const auto text = data::ReadFile(lines.back());
  ASSERT_TRUE(text.ok()) << text.status();
  const nlohmann::json results = nlohmann::json::parse(*text);
  EXPECT_EQ(results["schema_version"], 2);
  ASSERT_EQ(results["runs"].size(), 2u);
  EXPECT_EQ(results["runs"][1]["name"], "student");
  EXPECT_EQ(results["runs"][1]["replicates"].size(), 2u);
  for (const char* const run : {"teacher/0", "student/0", "student/1"}) {
    const std::filesystem::directory_iterator files(absl::StrCat(Path("curves"), "/tiny/", run));
    EXPECT_THAT(data::ReadFile(files->path().string()).value_or(""),
                AllOf(HasSubstr("train/loss"), HasSubstr("terms/cross_entropy")));
  }

  const Finished second = RunProgram(Command("distill", "store"));
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.out, first.out);
  EXPECT_THAT(second.err, Not(HasSubstr("RUN")));
  EXPECT_THAT(second.err, HasSubstr("HIT"));

  const Finished plan = RunProgram(Command("distill", "store", {"--plan", "--set=student.train.epochs=4"}));
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("train.epochs: 3"));
  EXPECT_THAT(plan.out, HasSubstr("train.epochs: 4"));
}

TEST_F(ProgramsTest, EveryProgramDeliversItsKind) {
  for (const char* program : {"ingest", "finetune", "augment", "cache_logits", "distill", "report"}) {
    const Finished finished = RunProgram(Command(program, "store"));
    EXPECT_EQ(finished.exit_code, 0) << program << ": " << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(program));
  }
  Write("tiny.textproto",
        absl::StrCat(kTiny, R"(stage { name: "again" evaluate { model: "student" data: "images" teacher: "teacher" } }
                               stage { name: "held" report { run: "teacher" run: "again" } })"));
  const Finished evaluate = RunProgram(Command("evaluate", "store"));
  EXPECT_EQ(evaluate.exit_code, 0) << evaluate.err;
  const Finished held = RunProgram(Command("report", "store"));
  EXPECT_EQ(held.exit_code, 0) << held.err;
  Write("tiny.textproto", absl::StrCat(kTiny, R"(stage { name: "files" export { model: "student" safetensors { }
                                                                  onnx { input: BYTES embedding: true } } })"));
  const Finished exported = RunProgram(Command("export", "store"));
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  // One of each replicate.
  int files = 0;
  const auto store = ArtifactStore::Open(Path("store"));
  ASSERT_TRUE(store.ok()) << store.status();
  const auto entries = store->List(/*verify=*/true);
  ASSERT_TRUE(entries.ok()) << entries.status();
  for (const ArtifactStore::Entry& entry : *entries) {
    if (entry.kind == "evaluate") {
      ASSERT_TRUE(entry.artifact.ok()) << entry.artifact.status();
      for (const char* metric : {"ece", "agreement", "kl", "cka", "teacher_accuracy"}) {
        EXPECT_TRUE(entry.artifact->Metric(metric).ok()) << metric;
      }
    }
    if (entry.kind != "export") continue;
    ASSERT_TRUE(entry.artifact.ok()) << entry.artifact.status();
    ++files;
    ASSERT_EQ(entry.artifact->manifest.file_size(), 2);
    const auto weights = data::SafetensorsFile::Open(entry.artifact->File("model.safetensors"));
    ASSERT_TRUE(weights.ok()) << weights.status();
    const std::map<std::string, std::string>& metadata = weights->metadata();
    EXPECT_EQ(metadata.at("retort.dataset"), "procedural");
    EXPECT_EQ(nlohmann::json::parse(metadata.at("retort.class_names")).size(), 10u);
    EXPECT_EQ(nlohmann::json::parse(metadata.at("retort.mean")).size(), 3u);
    EXPECT_EQ(metadata.at("retort.config_hash").size(), 64u);
    EXPECT_NEAR(std::stod(metadata.at("retort.accuracy")), entry.artifact->Metric("accuracy").value(), 1e-5);
    const std::string onnx = data::ReadFile(entry.artifact->File("model.onnx")).value();
    for (const auto& [key, value] : metadata) {
      if (key == "retort.sha256") continue;  // of the safetensors file
      EXPECT_THAT(onnx, HasSubstr(value)) << key;
    }
  }
  EXPECT_EQ(files, 2);
  const Finished none = RunProgram(Command("evaluate", "store", {"--config=" + Path("missing.textproto")}));
  EXPECT_EQ(none.exit_code, 66) << none.err;
}

TEST_F(ProgramsTest, ADamagedArtifactIsMadeAgain) {
  ASSERT_EQ(RunProgram(Command("finetune", "store")).exit_code, 0);
  const auto before = Results("store");
  const auto store = ArtifactStore::Open(Path("store"));
  ASSERT_TRUE(store.ok());
  const auto entries = store->List(true);
  ASSERT_TRUE(entries.ok());
  for (const ArtifactStore::Entry& entry : *entries) {
    if (entry.kind != "finetune") continue;
    std::fstream file(entry.artifact->File("model.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(2000);
    file.put('!');
  }
  const Finished finished = RunProgram(Command("finetune", "store"));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("made again"));
  EXPECT_EQ(Results("store"), before);
}

// Files of an artifact kind, by path, with what tells one file from another of the same name.
std::map<std::string, ino_t> Files(const std::string& folder) {
  std::map<std::string, ino_t> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    struct stat facts;
    if (entry.is_regular_file() && stat(entry.path().c_str(), &facts) == 0) files[entry.path()] = facts.st_ino;
  }
  return files;
}

constexpr char kSmallShards[] = "--set=targets.store.shard_size=50";

TEST_F(ProgramsTest, OnlyADamagedShardIsMadeAgain) {
  ASSERT_EQ(RunProgram(Command("cache_logits", "store", {kSmallShards})).exit_code, 0);
  const auto before = Results("store");
  std::map<std::string, ino_t> shards = Files(Path("store/cache_logits"));
  const std::string damaged = std::find_if(shards.begin(), shards.end(), [](const auto& file) {
                                return absl::StrContains(file.first, "targets-00007");
                              })->first;
  std::fstream(damaged, std::ios::in | std::ios::out | std::ios::binary).seekp(1500).put('!');
  const Finished finished = RunProgram(Command("cache_logits", "store", {kSmallShards, "--verify_targets=40"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("BAD   shard made again: "));
  EXPECT_THAT(finished.err, HasSubstr("targets-00007.safetensors is damaged"));
  EXPECT_THAT(finished.err, HasSubstr("view 1: 0 of 40 records differ from what the teacher says now"));
  EXPECT_EQ(Results("store"), before);
  int others = 0;
  for (const auto& [path, number] : Files(Path("store/cache_logits"))) {
    if (!absl::StrContains(path, "targets-")) continue;
    EXPECT_EQ(number == shards[path], path != damaged) << path;
    ++others;
  }
  EXPECT_EQ(others, 2 * 12);
}

TEST_F(ProgramsTest, AFurtherViewLeavesThoseBeforeAsTheyAre) {
  ASSERT_EQ(RunProgram(Command("cache_logits", "store")).exit_code, 0);
  const Finished more = RunProgram(Command("cache_logits", "store", {"--set=views.count=3"}));
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.err, ContainsRegex("HIT +cache_logits .* targets/0"));
  EXPECT_THAT(more.err, ContainsRegex("HIT +cache_logits .* targets/1"));
  EXPECT_THAT(more.err, ContainsRegex("RUN +cache_logits .* targets/2"));
}

// Together, killed again and again, they end with what one alone has made.
TEST_F(ProgramsTest, EightProcessesFillOneCache) {
  const std::vector<std::string> many = {"--set=targets.store.shard_size=5", "--set=views.count=3"};
  ASSERT_EQ(RunProgram(Command("cache_logits", "reference", many)).exit_code, 0);
  ASSERT_EQ(RunProgram(Command("finetune", "store", many)).exit_code, 0);
  ASSERT_EQ(RunProgram(Command("augment", "store", many)).exit_code, 0);
  std::mt19937 random(7);
  std::vector<std::unique_ptr<Subprocess>> processes;
  const auto start = [&] { return std::make_unique<Subprocess>(Command("cache_logits", "store", many)); };
  for (int i = 0; i < 8; ++i) processes.push_back(start());
  int kills = 0;
  for (int turn = 0; turn < 24; ++turn) {
    absl::SleepFor(absl::Milliseconds(40 + random() % 120));
    std::unique_ptr<Subprocess>& process = processes[random() % processes.size()];
    process->Signal(SIGKILL);
    const Finished killed = process->Wait();
    kills += killed.signal == SIGKILL ? 1 : 0;
    EXPECT_TRUE(killed.signal == SIGKILL || killed.exit_code == 0) << killed.err;
    process = start();
  }
  for (const std::unique_ptr<Subprocess>& process : processes) {
    const Finished finished = process->Wait();
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
  }
  EXPECT_GE(kills, 8) << "kills that came before the end";
  EXPECT_EQ(Results("store"), Results("reference"));
}

// How many stages have begun, ended or been found, as standard error tells.
int Events(const std::string& err) {
  int events = 0;
  for (absl::string_view line : absl::StrSplit(err, '\n')) {
    events += absl::StartsWith(line, "RUN ") || absl::StartsWith(line, "DONE ") || absl::StartsWith(line, "HIT ");
  }
  return events;
}

// Kills the program `delay` after its event number `event`; whether it was still running then.
bool RunAndKill(const std::vector<std::string>& command, int event, absl::Duration delay) {
  Subprocess process(command);
  while (process.Running() && Events(process.ErrorOutput()) < event) absl::SleepFor(absl::Milliseconds(1));
  absl::SleepFor(delay);
  process.Signal(SIGKILL);
  return process.Wait().signal == SIGKILL;
}

TEST_F(ProgramsTest, KilledAnywhereItEndsWithTheSameBits) {
  const Finished whole = RunProgram(Command("distill", "reference"));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const auto reference = Results("reference");
  // Eight stages, each of which begins and ends.
  constexpr int kEvents = 16;
  ASSERT_EQ(Events(whole.err), kEvents) << whole.err;

  int landed = 0;
  for (int event = 1; event < kEvents; ++event) {
    const std::string store = absl::StrCat("store", event);
    const std::vector<std::string> command = Command("distill", store);
    // Odd events are beginnings: those are killed at a later and later moment of the stage. Then resuming is killed
    // too.
    landed += RunAndKill(command, event, absl::Milliseconds(event % 2 == 1 ? 2 * event : 0)) ? 1 : 0;
    RunAndKill(command, event / 2, absl::Milliseconds(event));
    const Finished finished = RunProgram(command);
    ASSERT_EQ(finished.exit_code, 0) << "after kill " << event << ": " << finished.err;
    EXPECT_EQ(Results(store), reference) << "after kill " << event;
  }
  EXPECT_GE(landed, 10) << "kills that came before the end";
}

struct Stop {
  const char* name;
  int signal;
  int exit_code;
};

class StopTest : public ProgramsTest, public ::testing::WithParamInterface<Stop> {};

TEST_P(StopTest, IsObeyedInTimeAndTheRunGoesOn) {
  ASSERT_EQ(RunProgram(Command("distill", "reference", {"--set=teacher.train.epochs=20"})).exit_code, 0);
  const std::vector<std::string> command = Command("distill", "store", {"--set=teacher.train.epochs=20"});
  {
    Subprocess process(command);
    while (process.Running() && !absl::StrContains(process.ErrorOutput(), "epoch 1/20")) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    const absl::Time asked = absl::Now();
    process.Signal(GetParam().signal);
    const Finished finished = process.Wait();
    EXPECT_EQ(finished.exit_code, GetParam().exit_code) << finished.err;
    EXPECT_LT(absl::Now() - asked, absl::Seconds(10));
    EXPECT_THAT(finished.err, HasSubstr("run the same command again"));
  }
  const Finished finished = RunProgram(command);
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(Results("store"), Results("reference"));
}

INSTANTIATE_TEST_SUITE_P(All, StopTest, ::testing::Values(Stop{"CtrlC", SIGINT, 130}, Stop{"Terminate", SIGTERM, 75}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(ProgramsTest, FiveFaultsAreFiveLines) {
  std::string broken = kTiny;
  const auto replace = [&broken](const std::string& from, const std::string& to) {
    const size_t at = broken.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    broken.replace(at, from.size(), to);
  };
  replace("conv1: 8", "conv1: 0");
  replace("epochs: 2", "epoch: 2");
  replace("views: \"views\"", "views: \"vews\"");
  replace("learning_rate: 0.05", "learning_rate: \"fast\"");
  replace("fraction: 0.2", "fraction: 1.5");
  Write("tiny.textproto", broken);
  const Finished finished = RunProgram(Command("distill", "store"));
  EXPECT_EQ(finished.exit_code, 78);
  EXPECT_EQ(finished.out, "");
  int faults = 0;
  for (absl::string_view line : absl::StrSplit(finished.err, '\n'))
    faults += absl::StrContains(line, "tiny.textproto:");
  EXPECT_EQ(faults, 5) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("did you mean \"epochs\"?"));
  EXPECT_THAT(finished.err, HasSubstr("did you mean \"views\"?"));
}

TEST_F(ProgramsTest, WrongUsageIsRefused) {
  EXPECT_EQ(RunProgram({RunfilePath("pipelines/distill"), "--confg=x"}).exit_code, 64);
  EXPECT_EQ(RunProgram({RunfilePath("pipelines/distill")}).exit_code, 64);
  const Finished help = RunProgram({RunfilePath("pipelines/distill"), "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_LT(std::count(help.out.begin(), help.out.end(), '\n'), 100);
}

TEST_F(ProgramsTest, AFileInThePlaceOfTheStoreIsNamed) {
  Write("store", "not a folder");
  const Finished finished = RunProgram(Command("distill", "store"));
  EXPECT_EQ(finished.exit_code, 73) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr(Path("store")));
}

TEST_F(ProgramsTest, MissingCifarFilesAreNamed) {
  std::string text = kTiny;
  text.replace(text.find("procedural { train_size: 600 test_size: 100 }"), 45, "cifar10 { }");
  Write("tiny.textproto", text);
  const Finished finished = RunProgram(Command("distill", "store", {"--data_dir=" + Path("data")}));
  EXPECT_EQ(finished.exit_code, 66) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr(Path("data")));
  EXPECT_THAT(finished.err, HasSubstr("//tools:fetch"));
}

// Trains for a step so small that no weight changes.
constexpr char kFinetuned[] = R"(
name: "finetuned"
stage { name: "images" ingest { procedural { train_size: 64 test_size: 32 } } }
stage {
  name: "again"
  finetune {
    data: "images"
    model { deep_nn { conv1: 8 conv2: 8 conv3: 8 conv4: 8 hidden: 16 } }
    objective { term { cross_entropy { } } }
    train { epochs: 1 batch_size: 64 optimizer { sgd { learning_rate: 1e-30 } } }
    initial_weights { path: "given.safetensors" }
  }
}
)";

class InitialWeightsTest : public ProgramsTest {
 protected:
  // Leaves the teacher of kTiny as given.safetensors where the user is.
  void SetUp() override {
    ProgramsTest::SetUp();
    const Finished trained = RunProgram(Command("finetune", "teachers"));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const absl::StatusOr<std::string> bytes = data::ReadFile(Model("teachers"));
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    given_ = *bytes;
    Write("given.safetensors", given_);
    Write("tiny.textproto", kFinetuned);
  }

  // The model of the only finetune artifact in `store`.
  std::string Model(const std::string& store) const {
    const auto opened = ArtifactStore::Open(Path(store));
    EXPECT_TRUE(opened.ok()) << opened.status();
    const auto entries = opened->List(/*verify=*/true);
    EXPECT_TRUE(entries.ok()) << entries.status();
    for (const ArtifactStore::Entry& entry : *entries) {
      if (entry.kind == "finetune" && entry.artifact.ok()) return entry.artifact->File("model.safetensors");
    }
    return "";
  }

  Finished Run(std::vector<std::string> more = {}) const {
    return RunProgram(Command("finetune", "store", std::move(more)), {"BUILD_WORKING_DIRECTORY=" + folder_});
  }

  std::string given_;
};

TEST_F(InitialWeightsTest, AreLoadedAndTheirContentDecidesTheKey) {
  const Finished first = Run();
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(data::ReadFile(Model("store")).value(), given_);

  Write("moved.safetensors", given_);
  const Finished moved = Run({"--set=again.initial_weights.path=moved.safetensors"});
  EXPECT_EQ(moved.exit_code, 0) << moved.err;
  EXPECT_THAT(moved.err, Not(HasSubstr("RUN")));

  // A file without a SHA-256 of itself, so another content.
  std::string foreign = given_;
  foreign.replace(foreign.find("retort.sha256"), 13, "foreign.entry");
  Write("given.safetensors", foreign);
  const Finished plan = Run({"--plan"});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("+initial_weights: "));

  std::string damaged = given_;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  Write("given.safetensors", damaged);
  for (const char* mode : {"--plan", "--dry_run", "--set=seed=0"}) {
    const Finished refused = Run({mode});
    EXPECT_EQ(refused.exit_code, 65) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("given.safetensors"));
  }
}

TEST_F(InitialWeightsTest, AMissingFileAndAFolderAreNamed) {
  for (const char* mode : {"--dry_run", "--plan", "--set=seed=0"}) {
    const Finished missing = Run({mode, "--set=again.initial_weights.path=none.pth"});
    EXPECT_EQ(missing.exit_code, 66) << missing.err;
    EXPECT_THAT(missing.err, HasSubstr(Path("none.pth")));
  }
  EXPECT_EQ(Run({"--set=again.initial_weights.path=."}).exit_code, 78);
}

TEST_F(InitialWeightsTest, WhatDoesNotFitHasToBeAllowed) {
  const std::vector<std::string> wider = {"--set=again.model.deep_nn.hidden=32"};
  const Finished refused = Run(wider);
  EXPECT_EQ(refused.exit_code, 78) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("\"classifier.0.weight\" is F32"));
  EXPECT_THAT(refused.err, HasSubstr("\"classifier.3.weight\" is F32"));
  for (const bool dry : {true, false}) {
    std::vector<std::string> allowed = wider;
    allowed.push_back("--set=again.initial_weights.allow_mismatched=[\"classifier.*\"]");
    if (dry) allowed.push_back("--dry_run");
    const Finished finished = Run(allowed);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(dry ? finished.out : finished.err, HasSubstr("of another kind, kept: classifier.0.weight"));
  }
}

TEST_F(InitialWeightsTest, ARuleThatCannotBeReadIsAFaultOfTheConfig) {
  const std::string path = "path: \"given.safetensors\"";
  std::string broken = kFinetuned;
  broken.replace(broken.find(path), path.size(), path + " rename { from: \"a.{x\" to: \"b\" }");
  Write("tiny.textproto", broken);
  const Finished finished = Run();
  EXPECT_EQ(finished.exit_code, 78) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("initial_weights.rename[0]"));
}

TEST_F(ProgramsTest, DryRunWritesNothing) {
  const Finished finished = RunProgram(Command("distill", "store", {"--dry_run"}));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("parameters"));
  EXPECT_FALSE(std::ifstream(Path("store")).good());
}

}  // namespace
}  // namespace retort::pipelines
