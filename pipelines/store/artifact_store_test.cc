#include "retort/pipelines/store/artifact_store.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "retort/data/io/file.h"
#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"
#include "retort/testing/interrupt.h"
#include "retort/testing/new_folder.h"

namespace retort::pipelines {
namespace {

using retort::testing::ChildEnd;
using retort::testing::FlushesAndRenames;
using retort::testing::RunAndFail;
using retort::testing::RunAndKill;
using retort::testing::RunInChild;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kKeyText[] = "kind: distill\nseed: 7\n";
constexpr char kWeights[] = "these are the weights";
constexpr char kMetrics[] = "{\"epoch\": 1}\n";

std::string Key() { return data::Sha256Hex(kKeyText); }
std::string Digits() { return Key().substr(0, 16); }

// Where the stores of these tests are: in memory if there is such a place, since thousands of flushes to a disk take
// minutes and no test here cuts the power.
class Folders : public ::testing::Environment {
 public:
  void SetUp() override {
    root_ = access("/dev/shm", W_OK) == 0 ? retort::testing::NewFolderIn("/dev/shm") : retort::testing::NewFolder();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string New() { return retort::testing::NewFolderIn(root_); }

 private:
  std::string root_;
};

Folders& folders = *static_cast<Folders*>(::testing::AddGlobalTestEnvironment(new Folders));

std::string NewFolder() { return folders.New(); }

ArtifactStore OpenStore(const std::string& root) { return *ArtifactStore::Open(root); }

std::string Read(const std::string& path) { return data::ReadFile(path).value_or("(not there)"); }

// No data::WriteFileAtomically here: damage is not done with care.
void Write(const std::string& path, const std::string& contents) { std::ofstream(path, std::ios::binary) << contents; }

bool Exists(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0;
}

absl::StatusOr<StoredArtifact> PublishOne(const ArtifactStore& store, const std::string& weights = kWeights,
                                          const std::string& key_text = kKeyText) {
  RETORT_ASSIGN_OR_RETURN(std::unique_ptr<WorkFolder> work, store.Work("distill", data::Sha256Hex(key_text)));
  RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(work->path() + "/weights", weights));
  RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(work->path() + "/metrics.jsonl", kMetrics));
  config::Artifact manifest;
  manifest.set_kind("distill");
  manifest.set_seconds(1.5);
  config::Artifact::Metric* metric = manifest.add_metric();
  metric->set_name("accuracy");
  metric->set_value(0.75);
  return store.Publish(std::move(work), key_text, {"weights", "metrics.jsonl"}, manifest);
}

// What every sound copy of the artifact of PublishOne looks like.
void ExpectSound(const ArtifactStore& store) {
  const absl::StatusOr<StoredArtifact> found = store.Find("distill", Key());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(Read(found->File("weights")), kWeights);
  EXPECT_EQ(Read(found->File("metrics.jsonl")), kMetrics);
  EXPECT_EQ(Read(found->File("key.txt")), kKeyText);
  EXPECT_EQ(*found->Metric("accuracy"), 0.75);
}

TEST(ArtifactStore, PublishedIsFound) {
  const std::string root = NewFolder();
  const ArtifactStore store = OpenStore(root);
  EXPECT_EQ(store.Find("distill", Key()).status().code(), absl::StatusCode::kNotFound);

  const absl::StatusOr<StoredArtifact> published = PublishOne(store);
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_EQ(published->folder, absl::StrCat(store.root(), "/distill/", Digits()));
  ExpectSound(store);
  ExpectSound(OpenStore(root));

  const config::Artifact manifest = store.Find("distill", Key())->manifest;
  EXPECT_EQ(manifest.key(), Key());
  EXPECT_EQ(manifest.seconds(), 1.5);
  ASSERT_EQ(manifest.file_size(), 2);
  EXPECT_EQ(manifest.file(0).name(), "weights");
  EXPECT_EQ(manifest.file(0).bytes(), 21);
  EXPECT_EQ(manifest.file(0).sha256(), data::Sha256Hex(kWeights));
  EXPECT_FALSE(Exists(absl::StrCat(root, "/work/distill-", Digits())));
  EXPECT_FALSE(Exists(absl::StrCat(root, "/work/distill-", Digits(), ".lock")));
  EXPECT_THAT(*store.Leftovers(), IsEmpty());
}

TEST(ArtifactStore, UnknownMetricListsTheOthers) {
  const ArtifactStore store = OpenStore(NewFolder());
  const StoredArtifact artifact = *PublishOne(store);
  EXPECT_THAT(std::string(artifact.Metric("loss").status().message()), HasSubstr("it has: accuracy"));
}

TEST(ArtifactStore, SoundArtifactIsKept) {
  const ArtifactStore store = OpenStore(NewFolder());
  ASSERT_TRUE(PublishOne(store).ok());
  ASSERT_TRUE(PublishOne(store, "other weights").ok());
  ExpectSound(store);
  EXPECT_THAT(*store.Leftovers(), IsEmpty());
}

TEST(ArtifactStore, WorkFolderOutlivesTheProcess) {
  const ArtifactStore store = OpenStore(NewFolder());
  {
    const std::unique_ptr<WorkFolder> work = *store.Work("distill", Key());
    Write(work->path() + "/checkpoint", "epoch 3");
  }
  const std::unique_ptr<WorkFolder> work = *store.Work("distill", Key());
  EXPECT_EQ(Read(work->path() + "/checkpoint"), "epoch 3");
}

TEST(ArtifactStore, EmptyWorkFolderIsRemoved) {
  const ArtifactStore store = OpenStore(NewFolder());
  { const std::unique_ptr<WorkFolder> work = *store.Work("distill", Key()); }
  EXPECT_THAT(*store.Leftovers(), IsEmpty());
}

TEST(ArtifactStore, SecondWorkerIsRefusedAndNamesTheFirst) {
  const ArtifactStore store = OpenStore(NewFolder());
  const std::unique_ptr<WorkFolder> work = *store.Work("distill", Key());
  const absl::Status refused = store.Work("distill", Key()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr(absl::StrCat("process ", getpid(), " works on distill ", Digits())));
  EXPECT_TRUE(store.Work("finetune", Key()).ok());
}

// Keys that share 16 digits cannot be made on purpose; a key that is no hash can.
TEST(ArtifactStore, KeysWithTheSameFirstDigitsAreTold) {
  const ArtifactStore store = OpenStore(NewFolder());
  ASSERT_TRUE(PublishOne(store).ok());
  const std::string other = Digits() + std::string(48, '0');
  const absl::Status status = store.Find("distill", other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("of another key"));

  { Write((*store.Work("distill", Key()))->path() + "/checkpoint", "of the first key"); }
  EXPECT_FALSE(Exists((*store.Work("distill", other))->path() + "/checkpoint"));
}

struct RefusedCase {
  std::string name;
  std::string kind = "distill";
  std::string key = Key();
  std::vector<std::string> files = {};
  std::string message;
};

TEST(ArtifactStore, RefusesWhatItCannotStore) {
  const std::vector<RefusedCase> cases = {
      {.name = "Parent", .files = {"../weights"}, .message = "needs a name without folder"},
      {.name = "Absolute", .files = {"/etc/passwd"}, .message = "needs a name without folder"},
      {.name = "Hidden", .files = {".weights"}, .message = "no dot at its start"},
      {.name = "OwnManifest", .files = {"artifact.textproto"}, .message = "cannot be published"},
      {.name = "OwnKey", .files = {"key.txt"}, .message = "cannot be published"},
      {.name = "Twice", .files = {"weights", "weights"}, .message = "each once"},
      {.name = "Missing", .files = {"weight"}, .message = "No such file"},
      {.name = "Link", .files = {"link"}, .message = "not a regular file"},
      {.name = "Folder", .files = {"folder"}, .message = "not a regular file"},
      {.name = "WorkAsKind", .kind = "work", .message = "no kind of artifact"},
      {.name = "PathAsKind", .kind = "../x", .message = "no kind of artifact"},
      {.name = "ShortKey", .key = "abc", .message = "no key"},
      {.name = "PathAsKey", .key = "../../../../etc", .message = "no key"},
  };
  for (const RefusedCase& c : cases) {
    SCOPED_TRACE(c.name);
    const ArtifactStore store = OpenStore(NewFolder());
    absl::StatusOr<std::unique_ptr<WorkFolder>> work = store.Work(c.kind, c.key);
    absl::Status status = work.status();
    if (work.ok()) {
      Write((*work)->path() + "/weights", kWeights);
      ASSERT_EQ(symlink("weights", ((*work)->path() + "/link").c_str()), 0);
      ASSERT_EQ(mkdir(((*work)->path() + "/folder").c_str(), 0777), 0);
      config::Artifact manifest;
      manifest.set_kind(c.kind);
      status = store.Publish(*std::move(work), kKeyText, c.files, manifest).status();
    }
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
    EXPECT_THAT(*store.List(true), IsEmpty());
  }
}

TEST(ArtifactStore, WorkFolderOfAnotherKeyIsRefused) {
  const ArtifactStore store = OpenStore(NewFolder());
  config::Artifact manifest;
  manifest.set_kind("distill");
  const absl::Status status =
      store.Publish(*store.Work("distill", data::Sha256Hex("other")), kKeyText, {}, manifest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

// Every byte of every file, changed in one bit: found, and put right by the next run.
TEST(ArtifactStoreDamage, EveryFlippedBitIsFound) {
  const ArtifactStore store = OpenStore(NewFolder());
  const StoredArtifact artifact = *PublishOne(store);
  int flips = 0;
  for (const char* name : {"artifact.textproto", "key.txt", "weights", "metrics.jsonl"}) {
    const std::string whole = Read(artifact.File(name));
    for (size_t i = 0; i < whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      Write(artifact.File(name), damaged);
      const absl::Status status = store.Find("distill", Key()).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << name << " byte " << i;
      EXPECT_THAT(std::string(status.message()), HasSubstr(artifact.folder));
      ++flips;
    }
    Write(artifact.File(name), whole);
  }
  EXPECT_GT(flips, 500);
  ExpectSound(store);
}

struct DamageCase {
  std::string name;
  void (*damage)(const std::string& folder);
};

TEST(ArtifactStoreDamage, IsFoundAndReplaced) {
  const std::vector<DamageCase> cases = {
      {"PayloadMissing", [](const std::string& f) { unlink((f + "/weights").c_str()); }},
      {"ManifestMissing", [](const std::string& f) { unlink((f + "/artifact.textproto").c_str()); }},
      {"KeyMissing", [](const std::string& f) { unlink((f + "/key.txt").c_str()); }},
      {"PayloadEmpty", [](const std::string& f) { Write(f + "/weights", ""); }},
      {"ManifestEmpty", [](const std::string& f) { Write(f + "/artifact.textproto", ""); }},
      {"PayloadShorter", [](const std::string& f) { EXPECT_EQ(truncate((f + "/weights").c_str(), 20), 0); }},
      {"PayloadLonger", [](const std::string& f) { EXPECT_EQ(truncate((f + "/weights").c_str(), 22), 0); }},
      {"ManifestShorter",
       [](const std::string& f) { EXPECT_EQ(truncate((f + "/artifact.textproto").c_str(), 99), 0); }},
      {"ManifestHuge",
       [](const std::string& f) { EXPECT_EQ(truncate((f + "/artifact.textproto").c_str(), 1 << 30), 0); }},
      {"PayloadsSwapped",
       [](const std::string& f) {
         const std::string weights = Read(f + "/weights");
         Write(f + "/weights", Read(f + "/metrics.jsonl"));
         Write(f + "/metrics.jsonl", weights);
       }},
      {"PayloadIsLink",
       [](const std::string& f) {
         EXPECT_EQ(rename((f + "/weights").c_str(), (f + "/other").c_str()), 0);
         EXPECT_EQ(symlink("other", (f + "/weights").c_str()), 0);
       }},
      {"PayloadIsFolder",
       [](const std::string& f) {
         unlink((f + "/weights").c_str());
         mkdir((f + "/weights").c_str(), 0777);
       }},
      {"FolderEmpty",
       [](const std::string& f) {
         for (const char* name : {"/weights", "/metrics.jsonl", "/key.txt", "/artifact.textproto"})
           unlink((f + name).c_str());
       }},
      {"FolderIsFile",
       [](const std::string& f) {
         rename(f.c_str(), (f + "x").c_str());
         Write(f, "a file");
       }},
      {"KeyTextOfAnother", [](const std::string& f) { Write(f + "/key.txt", "kind: distill\nseed: 8\n"); }},
      {"ManifestOfAnotherFormat",
       [](const std::string& f) {
         const std::string text = "format: 2\nkind: \"distill\"\n";
         Write(f + "/artifact.textproto", absl::StrCat(text, "# sha256 ", data::Sha256Hex(text), "\n"));
       }},
      {"ManifestWithUnknownField",
       [](const std::string& f) {
         const std::string text = "colour: 2\n";
         Write(f + "/artifact.textproto", absl::StrCat(text, "# sha256 ", data::Sha256Hex(text), "\n"));
       }},
      {"ManifestWithPath",
       [](const std::string& f) {
         const std::string text = absl::StrCat("kind: \"distill\" key: \"", Key(), "\" file { name: \"../x\" }\n");
         Write(f + "/artifact.textproto", absl::StrCat(text, "# sha256 ", data::Sha256Hex(text), "\n"));
       }},
  };
  for (const DamageCase& c : cases) {
    SCOPED_TRACE(c.name);
    const ArtifactStore store = OpenStore(NewFolder());
    const StoredArtifact artifact = *PublishOne(store);
    c.damage(artifact.folder);
    const absl::Status status = store.Find("distill", Key()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(artifact.folder));
    const std::vector<ArtifactStore::Entry> entries = *store.List(true);
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].artifact.status().code(), absl::StatusCode::kDataLoss);

    const absl::StatusOr<StoredArtifact> again = PublishOne(store);
    EXPECT_TRUE(again.ok()) << again.status();
    ExpectSound(store);
    EXPECT_THAT(*store.Leftovers(), IsEmpty());
  }
}

TEST(ArtifactStoreDamage, FilesOfOthersAreNotTouched) {
  const std::string root = NewFolder();
  const ArtifactStore store = OpenStore(root);
  ASSERT_TRUE(PublishOne(store).ok());
  Write(root + "/notes.txt", "mine");
  Write(root + "/distill/notes.txt", "mine");
  ASSERT_EQ(mkdir((root + "/distill/.new-mine").c_str(), 0777), 0);
  EXPECT_EQ(store.List(true)->size(), 1u);
  EXPECT_THAT(*store.Leftovers(), IsEmpty());
}

// What a killed process left half-made never becomes part of an artifact.
TEST(ArtifactStoreDamage, LeftoverFilesAreNotPublished) {
  const std::string root = NewFolder();
  const ArtifactStore store = OpenStore(root);
  const std::string half = absl::StrCat(root, "/distill/.new-", Digits());
  ASSERT_TRUE(data::MakeDirectories(half).ok());
  Write(half + "/stale", "of a killed process");
  EXPECT_FALSE(Exists(PublishOne(store)->File("stale")));
  ExpectSound(store);
}

// No kill can tell what a loss of power would leave, but the order of flushes and renames can: each file, then its
// name.
TEST(ArtifactStoreCrash, FlushesBeforeItRenames) {
  const ArtifactStore store = OpenStore(NewFolder());
  std::vector<std::string> calls = FlushesAndRenames([&] {
    std::unique_ptr<WorkFolder> work = *store.Work("distill", Key());
    Write(work->path() + "/weights", kWeights);
    config::Artifact manifest;
    manifest.set_kind("distill");
    return store.Publish(std::move(work), kKeyText, {"weights"}, manifest).ok() ? 0 : 1;
  });
  for (std::string& call : calls) {
    call = absl::StrReplaceAll(call, {{store.root(), "$"}, {Digits(), "KEY"}});
    call = std::regex_replace(call, std::regex("\\.retort-[0-9a-f-]*\\.tmp"), "TMP");
  }
  EXPECT_THAT(calls, ElementsAre("flush $/work/distill-KEY/weights",                                     //
                                 "flush $/distill/.new-KEY/TMP",                                         //
                                 "rename $/distill/.new-KEY/TMP $/distill/.new-KEY/key.txt",             //
                                 "flush $/distill/.new-KEY",                                             //
                                 "rename $/work/distill-KEY/weights $/distill/.new-KEY/weights",         //
                                 "flush $/distill/.new-KEY/TMP",                                         //
                                 "rename $/distill/.new-KEY/TMP $/distill/.new-KEY/artifact.textproto",  //
                                 "flush $/distill/.new-KEY",                                             //
                                 "rename $/distill/.new-KEY $/distill/KEY",                              //
                                 "flush $/distill",                                                      //
                                 "flush $"));
}

// The lock's file comes and goes with each holder; two processes must never hold it at once.
TEST(ArtifactStoreCrash, OnlyOneProcessWorksAtATime) {
  constexpr int kProcesses = 4;
  constexpr int kTurns = 1500;
  const ArtifactStore store = OpenStore(NewFolder());
  const std::string mark = store.root() + "/mark";
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int turn = 0; turn < kTurns; ++turn) {
        const absl::StatusOr<std::unique_ptr<WorkFolder>> work = store.Work("distill", Key());
        if (!work.ok()) continue;
        if (mkdir(mark.c_str(), 0777) != 0) _exit(1);
        sched_yield();
        if (rmdir(mark.c_str()) != 0) _exit(2);
      }
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

TEST(ArtifactStoreTogether, IsSharedUntilAllHaveLetGo) {
  const ArtifactStore store = OpenStore(NewFolder());
  const auto never = [] { return false; };
  const auto at_once = [] { return true; };
  auto first = store.WorkTogether("cache_logits", Key(), never);
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = store.WorkTogether("cache_logits", Key(), never);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*first)->path(), (*second)->path());
  EXPECT_TRUE(absl::IsUnavailable(store.Work("cache_logits", Key()).status()));
  // The folder is empty, and stays while anyone is in it.
  first->reset();
  Write((*second)->path() + "/part", "made by one of them");
  EXPECT_TRUE(absl::IsCancelled(store.WaitForWork("cache_logits", Key(), at_once).status()));
  second->reset();
  auto alone = store.WaitForWork("cache_logits", Key(), never);
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_EQ(Read((*alone)->path() + "/part"), "made by one of them");
  EXPECT_TRUE(absl::IsCancelled(store.WorkTogether("cache_logits", Key(), at_once).status()));
}

// Nobody publishes while another is at work, and all find what one has published.
TEST(ArtifactStoreTogether, ManyProcessesPublishOnce) {
  constexpr int kProcesses = 6, kRounds = 40;
  const ArtifactStore store = OpenStore(NewFolder());
  const auto never = [] { return false; };
  for (int round = 0; round < kRounds; ++round) {
    const std::string key_text = absl::StrCat("round ", round, "\n"), key = data::Sha256Hex(key_text);
    const std::string published = absl::StrCat(store.root(), "/published", round);
    const auto take_part = [&] {
      {
        const auto work = store.WorkTogether("cache_logits", key, never);
        if (!work.ok()) return 1;
        if (store.Find("cache_logits", key).ok()) return 0;
        std::ofstream((*work)->path() + "/weights") << kWeights;
      }
      auto work = store.WaitForWork("cache_logits", key, never);
      if (!work.ok()) return 2;
      if (store.Find("cache_logits", key).ok()) return 0;
      if (mkdir(published.c_str(), 0777) != 0) return 3;
      config::Artifact manifest;
      manifest.set_kind("cache_logits");
      return store.Publish(*std::move(work), key_text, {"weights"}, manifest).ok() ? 0 : 4;
    };
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      const pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) _exit(take_part());
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      EXPECT_EQ(WEXITSTATUS(status), 0);
    }
    const auto found = store.Find("cache_logits", key);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(Read(found->File("weights")), kWeights);
  }
  EXPECT_THAT(*store.Leftovers(), IsEmpty());
}

TEST(ArtifactStoreTogether, SalvageBringsBackWhatIsThereAndKeepsWhatIsNew) {
  const ArtifactStore store = OpenStore(NewFolder());
  const StoredArtifact artifact = *PublishOne(store);
  Write(artifact.File("weights"), "damaged");
  const auto work = store.WorkTogether("distill", Key(), [] { return false; });
  ASSERT_TRUE(work.ok());
  for (int times = 0; times < 2; ++times) {
    ASSERT_TRUE(store.Salvage("distill", Key(), **work).ok());
    EXPECT_EQ(Read((*work)->path() + "/weights"), times == 0 ? "damaged" : "made anew");
    ASSERT_TRUE(data::WriteFileAtomically((*work)->path() + "/weights", "made anew").ok());
  }
  EXPECT_EQ(Read(artifact.File("weights")), "damaged");
  EXPECT_EQ(data::ReadFile((*work)->path() + "/artifact.textproto").status().code(), absl::StatusCode::kNotFound);
}

// Whatever call the process dies at, readers find the artifact whole or not at all, and the next run completes it.
void ExpectEveryKillIsSurvived(bool damaged_before) {
  int kills = 0;
  for (int call = 0;; ++call) {
    SCOPED_TRACE(absl::StrCat("killed at system call ", call));
    const ArtifactStore store = OpenStore(NewFolder());
    if (damaged_before) Write(PublishOne(store)->File("weights"), "damaged");
    const ChildEnd end = RunAndKill(call, [&] { return PublishOne(store).ok() ? 0 : 1; });
    if (!end.interrupted) {
      EXPECT_EQ(end.exit_code, 0);
      break;
    }
    ++kills;
    const absl::Status found = store.Find("distill", Key()).status();
    if (found.ok()) {
      ExpectSound(store);
    } else if (!damaged_before) {
      ASSERT_EQ(found.code(), absl::StatusCode::kNotFound) << found;
    }
    // The second run dies too, a little later in its own course.
    EXPECT_TRUE(RunAndKill(call / 3 + 10, [&] { return PublishOne(store).ok() ? 0 : 1; }).interrupted);
    ASSERT_TRUE(PublishOne(store).ok());
    ExpectSound(store);
    ASSERT_THAT(*store.Leftovers(), IsEmpty());
  }
  EXPECT_GT(kills, 60);
  ::testing::Test::RecordProperty("kills", kills);
}

TEST(ArtifactStoreCrash, EveryKillOfAFirstPublishIsSurvived) { ExpectEveryKillIsSurvived(false); }
TEST(ArtifactStoreCrash, EveryKillOfAReplacementIsSurvived) { ExpectEveryKillIsSurvived(true); }

void ExpectEveryFailureIsReported(int error_number, bool damaged_before) {
  int failures = 0;
  for (int call = 0;; ++call) {
    SCOPED_TRACE(absl::StrCat("failed at file-changing system call ", call));
    const ArtifactStore store = OpenStore(NewFolder());
    if (damaged_before) Write(PublishOne(store)->File("weights"), "damaged");
    const ChildEnd end = RunAndFail(call, error_number, [&] {
      const absl::StatusOr<StoredArtifact> published = PublishOne(store);
      return published.ok() ? 0 : static_cast<int>(published.status().code());
    });
    if (!end.interrupted) {
      EXPECT_EQ(end.exit_code, 0);
      break;
    }
    if (end.exit_code == 0) {  // the call did not matter, such as making a folder that is there
      ExpectSound(store);
      continue;
    }
    ++failures;
    EXPECT_EQ(end.exit_code, static_cast<int>(error_number == ENOSPC ? absl::StatusCode::kResourceExhausted
                                                                     : absl::StatusCode::kInternal));
    const absl::Status found = store.Find("distill", Key()).status();
    // Only once the artifact has its name is an error left to come: the one of making the name durable.
    if (found.ok()) ExpectSound(store);
    if (!found.ok() && !damaged_before) {
      EXPECT_EQ(found.code(), absl::StatusCode::kNotFound) << found;
    }
    ASSERT_TRUE(PublishOne(store).ok());
    ExpectSound(store);
    EXPECT_THAT(*store.Leftovers(), IsEmpty());
  }
  EXPECT_GT(failures, 15);
  ::testing::Test::RecordProperty("failures", failures);
}

TEST(ArtifactStoreCrash, DiskFullAtAnyCallIsReported) { ExpectEveryFailureIsReported(ENOSPC, false); }
TEST(ArtifactStoreCrash, DiskFullAtAnyCallOfAReplacementIsReported) { ExpectEveryFailureIsReported(ENOSPC, true); }
TEST(ArtifactStoreCrash, BrokenDiskAtAnyCallIsReported) { ExpectEveryFailureIsReported(EIO, false); }

TEST(ArtifactStoreCrash, FailedPublishLeavesTheFilesInTheWorkFolder) {
  const ArtifactStore store = OpenStore(NewFolder());
  std::string path;
  {
    std::unique_ptr<WorkFolder> work = *store.Work("distill", Key());
    path = work->path();
    Write(path + "/weights", kWeights);
    Write(absl::StrCat(store.root(), "/distill"), "a file where the folder of the kind belongs");
    config::Artifact manifest;
    manifest.set_kind("distill");
    EXPECT_FALSE(store.Publish(std::move(work), kKeyText, {"weights"}, manifest).ok());
  }
  EXPECT_EQ(Read(path + "/weights"), kWeights);
}

TEST(ArtifactStoreCrash, ProcessesThatPublishTheSameKeyAndDie) {
  constexpr int kRounds = 20;
  constexpr int kProcesses = 4;
  std::mt19937 random(20260101);
  int killed = 0;
  int published = 0;
  for (int round = 0; round < kRounds; ++round) {
    const ArtifactStore store = OpenStore(NewFolder());
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      const pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        while (!store.Find("distill", Key()).ok()) {
          const absl::Status status = PublishOne(store).status();
          if (!status.ok() && !absl::IsUnavailable(status)) {
            std::cerr << status << std::endl;
            _exit(2);
          }
          usleep(100);
        }
        _exit(0);
      }
      children.push_back(child);
    }
    usleep(std::uniform_int_distribution<useconds_t>(0, 4000)(random));
    kill(children[0], SIGKILL);
    usleep(std::uniform_int_distribution<useconds_t>(0, 2000)(random));
    kill(children[1], SIGKILL);
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      if (WIFSIGNALED(status)) {
        ++killed;
      } else {
        EXPECT_EQ(WEXITSTATUS(status), 0);
        ++published;
      }
    }
    ExpectSound(store);
  }
  EXPECT_GT(killed, 0);
  EXPECT_GE(published, 2 * kRounds);
}

// Root may write everywhere; without its capabilities it may not.
void DropCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) _exit(99);
}

TEST(ArtifactStore, ReadOnlyStoreCanBeReadAndSaysWhatToDo) {
  const std::string root = NewFolder();
  ASSERT_TRUE(PublishOne(OpenStore(root)).ok());
  ASSERT_EQ(chmod((root + "/work").c_str(), 0555), 0);
  ASSERT_EQ(chmod(root.c_str(), 0555), 0);
  const ChildEnd end = RunInChild([&] {
    DropCapabilities();
    const ArtifactStore store = OpenStore(root);
    ExpectSound(store);
    const absl::Status status = store.Work("distill", data::Sha256Hex("other")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(store.root()), HasSubstr("--store")));
    EXPECT_EQ(store.Remove(store.List(true)->front()).code(), absl::StatusCode::kPermissionDenied);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  EXPECT_EQ(end.exit_code, 0);
  ASSERT_EQ(chmod(root.c_str(), 0755), 0);
}

TEST(ArtifactStore, RemovesArtifactsAndLeftovers) {
  const std::string root = NewFolder();
  const ArtifactStore store = OpenStore(root);
  ASSERT_TRUE(PublishOne(store).ok());
  ASSERT_TRUE(PublishOne(store, kWeights, "other key\n").ok());
  std::vector<ArtifactStore::Entry> entries = *store.List(true);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_LT(entries[0].digits, entries[1].digits);
  const ArtifactStore::Entry& other = entries[entries[0].digits == Digits() ? 1 : 0];
  ASSERT_TRUE(store.Remove(other).ok());
  EXPECT_FALSE(Exists(other.folder));
  ExpectSound(store);

  std::unique_ptr<WorkFolder> work = *store.Work("distill", Key());
  Write(work->path() + "/checkpoint", "epoch 3");
  ASSERT_EQ(mkdir(absl::StrCat(root, "/distill/.new-", Digits()).c_str(), 0777), 0);
  ASSERT_EQ(mkdir(absl::StrCat(root, "/distill/.old-", Digits()).c_str(), 0777), 0);
  const std::vector<ArtifactStore::Leftover> leftovers = *store.Leftovers();
  EXPECT_EQ(leftovers.size(), 3u);
  for (const ArtifactStore::Leftover& leftover : leftovers) {
    EXPECT_EQ(store.Remove(leftover).code(), absl::StatusCode::kUnavailable);
  }
  work.reset();
  for (const ArtifactStore::Leftover& leftover : leftovers) EXPECT_TRUE(store.Remove(leftover).ok());
  EXPECT_THAT(*store.Leftovers(), IsEmpty());
  EXPECT_FALSE(Exists(absl::StrCat(root, "/work/distill-", Digits(), ".lock")));
  ExpectSound(store);
}

TEST(ArtifactStore, DefaultRootIsInTheEnvironmentOrAtHome) {
  setenv("HOME", "/home/x", 1);
  setenv("RETORT_STORE", "/data/store", 1);
  EXPECT_EQ(DefaultStoreRoot(), "/data/store");
  setenv("RETORT_STORE", "", 1);
  EXPECT_EQ(DefaultStoreRoot(), "/home/x/.cache/retort");
}

}  // namespace
}  // namespace retort::pipelines
