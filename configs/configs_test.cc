// Every config in this folder loads, which includes that it is valid.
#include <dirent.h>

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "retort/pipelines/config/load_config.h"

namespace retort::pipelines {
namespace {

std::set<std::string> Configs() {
  std::set<std::string> names;
  DIR* folder = opendir("configs");
  EXPECT_NE(folder, nullptr);
  if (folder == nullptr) return names;
  while (const struct dirent* entry = readdir(folder)) {
    if (absl::EndsWith(entry->d_name, ".textproto")) names.insert(entry->d_name);
  }
  closedir(folder);
  return names;
}

TEST(Configs, Load) {
  const std::set<std::string> names = Configs();
  EXPECT_EQ(names.count("quickstart.textproto"), 1u);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const absl::StatusOr<config::Pipeline> pipeline = LoadPipeline(absl::StrCat("configs/", name), {});
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    EXPECT_EQ(absl::StrCat(pipeline->name(), ".textproto"), name);
  }
}

}  // namespace
}  // namespace retort::pipelines
