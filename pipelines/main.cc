#include "retort/pipelines/main.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/pipelines/config/load_config.h"
#include "retort/pipelines/dry_run.h"
#include "retort/pipelines/plan.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/pipelines/program/exit_code.h"
#include "retort/pipelines/program/stop_signal.h"
#include "retort/pipelines/program/user_paths.h"
#include "retort/pipelines/program/without_exceptions.h"
#include "retort/pipelines/run_plan.h"
#include "retort/pipelines/stage.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {
namespace {

// libgomp reads its environment once, before main: threads that spin for long between operations halve the speed of a
// busy two-core machine. Where the user has not decided, the program starts itself again with a bounded spin.
void BoundThreadSpin(char** argv) {
  // Large pages for large tensors; read by LibTorch's allocator at its first use.
  setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);
  if (std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "5000", /*overwrite=*/0);
  // Not "/proc/self/exe" itself: that would be the name in a list of processes. Without /proc it only runs slower.
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  if (length <= 0) return;
  path[length] = '\0';
  execv(path, argv);
}

// What goes to standard output.
absl::StatusOr<std::string> Results(const Plan& plan, const std::vector<size_t>& goals,
                                    const std::vector<StoredArtifact>& artifacts) {
  std::string tables;
  std::string last = artifacts.back().folder;
  for (size_t i = 0; i < goals.size(); ++i) {
    if (!plan.stages[goals[i]].config->has_report()) continue;
    RETORT_ASSIGN_OR_RETURN(const std::string table, data::ReadFile(artifacts[i].File("table.txt")));
    absl::StrAppend(&tables, table, "page: ", artifacts[i].File("report.html"), "\n");
    last = artifacts[i].File("results.json");
  }
  return absl::StrCat(tables, last, "\n");
}

absl::Status Run(const CommandLine& line, config::Stage::KindCase kind) {
  RETORT_ASSIGN_OR_RETURN(config::Pipeline pipeline, LoadPipeline(ResolveUserPath(line.config), line.set));
  if (line.print_config) {
    std::cout << "# proto-file: pipelines/pipeline.proto\n# proto-message: retort.config.Pipeline\n"
              << pipeline.DebugString();
    return absl::OkStatus();
  }
  ResolvePaths(&pipeline);
  const std::string store_folder = StoreFolder(line.store, pipeline);
  const std::string data_dir = DataFolder(line.data_dir, pipeline);
  RETORT_ASSIGN_OR_RETURN(const Plan plan, MakePlan(std::move(pipeline), data_dir));
  RETORT_ASSIGN_OR_RETURN(const std::vector<size_t> goals, Goals(plan, kind));
  if (line.dry_run) return DryRun(plan, goals, data_dir, std::cout);
  if (line.plan && access(store_folder.c_str(), F_OK) != 0) {
    std::cout << DescribePlan(plan, goals, nullptr);
    return absl::OkStatus();
  }
  RETORT_ASSIGN_OR_RETURN(const ArtifactStore store, ArtifactStore::Open(store_folder));
  if (line.plan) {
    std::cout << DescribePlan(plan, goals, &store);
    return absl::OkStatus();
  }
  CatchStopSignals();
  RETORT_ASSIGN_OR_RETURN(
      const std::vector<StoredArtifact> artifacts,
      RunPlan(plan, goals, store, {.data_dir = data_dir, .verify_targets = line.verify_targets, .stop_requested = [] {
                                     return StopSignal() != 0;
                                   }}));
  RETORT_ASSIGN_OR_RETURN(const std::string results, Results(plan, goals, artifacts));
  std::cout << results << std::flush;
  if (!std::cout) return absl::ResourceExhaustedError("cannot write the results to standard output");
  return absl::OkStatus();
}

}  // namespace

int Main(int argc, char** argv, config::Stage::KindCase kind) {
  BoundThreadSpin(argv);
  const absl::StatusOr<CommandLine> line = ParseCommandLine(std::vector<std::string>(argv + 1, argv + argc));
  if (!line.ok()) {
    std::cerr << line.status().message() << "\n";
    return kExitUsage;
  }
  if (line->help) {
    std::cout << HelpText(KindName(kind));
    return 0;
  }
  const absl::Status status = WithoutExceptions([&] { return Run(*line, kind); });
  if (absl::IsCancelled(status)) {
    std::cerr << "stopped; run the same command again to go on\n";
  } else if (!status.ok()) {
    std::cerr << "error: " << status.message() << "\n";
  }
  return ExitCode(status, StopSignal());
}

}  // namespace retort::pipelines
