#include "retort/tools/store/store_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/sha256.h"
#include "retort/pipelines/store/artifact_store.h"
#include "retort/testing/new_folder.h"

namespace retort::tools {
namespace {

using ::retort::pipelines::ArtifactStore;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Result {
  int code;
  std::string out;  // with $ for the store's folder
  std::string err;
};

class StoreCommandTest : public ::testing::Test {
 protected:
  Result Run(std::vector<std::string> arguments) {
    arguments.push_back(absl::StrCat("--store=", root_));
    std::ostringstream out, err;
    const int code = RunStoreCommand(arguments, out, err);
    return {code, absl::StrReplaceAll(out.str(), {{root_, "$"}}), absl::StrReplaceAll(err.str(), {{root_, "$"}})};
  }

  // Publishes an artifact, made on 2026-01-02 at 03:04 UTC. Returns its key.
  std::string Publish(const std::string& kind, const std::string& key_text, const std::string& weights) {
    const ArtifactStore store = *ArtifactStore::Open(root_);
    const std::string key = data::Sha256Hex(key_text);
    auto work = *store.Work(kind, key);
    EXPECT_TRUE(data::WriteFileAtomically(work->path() + "/weights", weights).ok());
    config::Artifact manifest;
    manifest.set_kind(kind);
    manifest.set_seconds(12.5);
    auto* metric = manifest.add_metric();
    metric->set_name("accuracy");
    metric->set_value(0.71234);
    auto* input = manifest.add_input();
    input->set_role("data");
    input->set_kind("ingest");
    input->set_key(std::string(64, 'a'));
    const auto artifact = store.Publish(std::move(work), key_text, {"weights"}, manifest);
    EXPECT_TRUE(artifact.ok()) << artifact.status();
    const timespec made[2] = {{1767323040, 0}, {1767323040, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, artifact->folder.c_str(), made, 0), 0);
    return key;
  }

  void Damage(const std::string& kind, const std::string& key) {
    std::ofstream(absl::StrCat(root_, "/", kind, "/", key.substr(0, 16), "/weights")) << "damaged";
  }

  const std::string root_ = ArtifactStore::Open(retort::testing::NewFolder())->root();
};

// SHA-256 of these texts, by sha256sum.
constexpr char kSeed7[] = "kind: distill\nseed: 7\nepochs: 3\n";
constexpr char kSeed8[] = "kind: distill\nseed: 8\nepochs: 3\nmomentum: 0.9\n";

TEST_F(StoreCommandTest, ListGolden) {
  const std::string a = Publish("distill", kSeed7, "weights").substr(0, 16);
  const std::string b = Publish("finetune", kSeed8, std::string(123456, 'w')).substr(0, 16);
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out,
            absl::StrCat("distill       ", a, "  2026-01-02 03:04       7 B      12.5 s  accuracy 0.71234\n",
                         "finetune      ", b, "  2026-01-02 03:04    123 kB      12.5 s  accuracy 0.71234\n",
                         "2 artifacts, 123 kB\n"));
  EXPECT_THAT(Run({"list", "--kind=distill"}).out, HasSubstr("\n1 artifacts, 7 B\n"));
}

TEST_F(StoreCommandTest, ShowGolden) {
  const std::string key = Publish("distill", kSeed7, "weights");
  const Result result = Run({"show", key.substr(0, 5)});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out,
            absl::StrCat("distill ", key, "\nfolder: $/distill/", key.substr(0, 16),
                         "\nmade: 2026-01-02 03:04 UTC, in 12.5 s\ninput: data, ingest ", std::string(64, 'a'),
                         "\nfile: weights, 7 bytes, SHA-256 ", data::Sha256Hex("weights"),
                         "\nmetric: accuracy 0.71234\n\nThe key is the SHA-256 of this text:\n\n", kSeed7));
}

TEST_F(StoreCommandTest, DiffGolden) {
  const std::string a = Publish("distill", kSeed7, "weights");
  const std::string b = Publish("distill", kSeed8, "weights");
  EXPECT_EQ(Run({"diff", a, b}).out, "- seed: 7\n+ seed: 8\n+ momentum: 0.9\n");
  EXPECT_EQ(Run({"diff", b, a}).out, "- seed: 8\n+ seed: 7\n- momentum: 0.9\n");
  EXPECT_EQ(Run({"diff", a, a}).out, "");
}

TEST_F(StoreCommandTest, KeyMustBeTheOnlyOne) {
  const std::string a = Publish("distill", kSeed7, "weights");
  Publish("finetune", kSeed7, "weights");
  const Result ambiguous = Run({"show", a.substr(0, 6)});
  EXPECT_EQ(ambiguous.code, 64);
  EXPECT_THAT(ambiguous.err, HasSubstr(absl::StrCat("may be any of distill/", a.substr(0, 16), ", finetune/")));
  EXPECT_EQ(Run({"show", absl::StrCat("finetune/", a.substr(0, 6))}).code, 0);
  const Result none = Run({"show", "zz"});
  EXPECT_EQ(none.code, 66);
  EXPECT_THAT(none.err, HasSubstr("no artifact zz"));
}

TEST_F(StoreCommandTest, VerifyAndPruneDamaged) {
  const std::string a = Publish("distill", kSeed7, "weights");
  const std::string b = Publish("distill", kSeed8, "weightS");
  EXPECT_EQ(Run({"verify"}).out, "2 sound, 0 damaged\n");
  Damage("distill", b);
  const Result result = Run({"verify"});
  EXPECT_EQ(result.code, 65);
  EXPECT_THAT(result.out, StartsWith(absl::StrCat("DAMAGED distill/", b.substr(0, 16), ": $/distill/")));
  EXPECT_THAT(result.out, HasSubstr("1 sound, 1 damaged\n"));
  EXPECT_THAT(result.err, HasSubstr("prune --damaged"));
  EXPECT_EQ(Run({"verify", a}).code, 0);

  const std::string folder = absl::StrCat("$/distill/", b.substr(0, 16), "\n");
  EXPECT_EQ(Run({"prune", "--damaged", "--dry_run"}).out, "would remove " + folder);
  EXPECT_EQ(Run({"prune", "--damaged", "--kind=finetune"}).out, "");
  EXPECT_EQ(Run({"prune", "--damaged"}).out, "removed " + folder);
  EXPECT_EQ(Run({"verify"}).out, "1 sound, 0 damaged\n");
}

TEST_F(StoreCommandTest, DamagedManifestIsListed) {
  const std::string a = Publish("distill", kSeed7, "weights");
  std::ofstream(absl::StrCat(root_, "/distill/", a.substr(0, 16), "/artifact.textproto")) << "x";
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr(absl::StrCat(a.substr(0, 16), "  2026-01-02 03:04  DAMAGED: ")));
  EXPECT_EQ(Run({"show", a.substr(0, 16)}).code, 65);
}

TEST_F(StoreCommandTest, PruneByAge) {
  Publish("distill", kSeed7, "weights");  // from 2026-01-02
  EXPECT_EQ(Run({"prune", "--all", "--older_than=100000d"}).out, "");
  EXPECT_THAT(Run({"prune", "--all", "--older_than=5m"}).out, StartsWith("removed $/distill/"));
  EXPECT_EQ(Run({"list"}).out, "0 artifacts, 0 B\n");
}

TEST_F(StoreCommandTest, PruneWorkKeepsWhatIsNewOrInUse) {
  const ArtifactStore store = *ArtifactStore::Open(root_);
  const std::string key = data::Sha256Hex(kSeed7);
  auto work = *store.Work("distill", key);
  ASSERT_TRUE(data::WriteFileAtomically(work->path() + "/checkpoint", "x").ok());
  const std::string folder = absl::StrCat("$/work/distill-", key.substr(0, 16));
  EXPECT_EQ(Run({"prune", "--work"}).out, "");
  const Result busy = Run({"prune", "--work", "--older_than=0s"});
  EXPECT_EQ(busy.code, 0);
  EXPECT_THAT(busy.out, StartsWith(absl::StrCat("kept ", folder, ": process ", getpid(), " works on")));
  work.reset();
  EXPECT_EQ(Run({"prune", "--work", "--older_than=0s"}).out, absl::StrCat("removed ", folder, "\n"));
}

struct UsageCase {
  std::string name;
  std::vector<std::string> arguments;
  std::string message;
};

TEST_F(StoreCommandTest, WrongUsageIs64) {
  const std::vector<UsageCase> cases = {
      {"Nothing", {}, "needs a command: list, show, diff, verify, prune"},
      {"UnknownCommand", {"lst"}, "did you mean \"list\"?"},
      {"UnknownFlag", {"list", "--knd=distill"}, "unknown argument \"--knd=distill\""},
      {"EmptyKind", {"list", "--kind="}, "unknown argument"},
      {"ShowWithoutKey", {"show"}, "show needs one KEY"},
      {"DiffWithOneKey", {"diff", "a"}, "diff needs two KEYs"},
      {"ListWithKey", {"list", "a"}, "list takes no KEY"},
      {"ListWithAll", {"list", "--all"}, "belong to prune"},
      {"ShowWithKind", {"show", "a", "--kind=distill"}, "write KIND/KEY"},
      {"PruneWithoutChoice", {"prune"}, "prune needs to know what"},
      {"PruneWithAgeAlone", {"prune", "--older_than=30d"}, "prune needs to know what"},
      {"AgeWithoutUnit", {"prune", "--all", "--older_than=30"}, "\"30\" is no age; permitted: 90s, 5m, 12h, 30d"},
      {"NegativeAge", {"prune", "--all", "--older_than=-1d"}, "is no age"},
      {"EmptyAge", {"prune", "--all", "--older_than="}, "is no age"},
  };
  for (const UsageCase& c : cases) {
    SCOPED_TRACE(c.name);
    const Result result = Run(c.arguments);
    EXPECT_EQ(result.code, 64);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr(c.message));
  }
}

TEST(StoreCommand, MissingStoreIs66AndIsNotMade) {
  const std::string root = absl::StrCat(::testing::TempDir(), "no_such_store");
  std::ostringstream out, err;
  EXPECT_EQ(RunStoreCommand({"list", "--store=" + root}, out, err), 66);
  EXPECT_THAT(err.str(), HasSubstr("name one with --store"));
  EXPECT_NE(access(root.c_str(), F_OK), 0);
}

TEST(StoreCommand, Help) {
  std::ostringstream out, err;
  EXPECT_EQ(RunStoreCommand({"--help"}, out, err), 0);
  EXPECT_THAT(out.str(), HasSubstr("prune"));
}

}  // namespace
}  // namespace retort::tools
