// Compares two runs, seed by seed.
#include <cmath>
#include <cstdint>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "retort/data/dataset.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/runtime.h"
#include "retort/pipelines/config/did_you_mean.h"
#include "retort/pipelines/config/load_config.h"
#include "retort/pipelines/plan.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/pipelines/program/exit_code.h"
#include "retort/pipelines/program/user_paths.h"
#include "retort/pipelines/program/without_exceptions.h"
#include "retort/pipelines/store/artifact_store.h"
#include "retort/tools/compare/comparison.h"
#include "retort/tools/compare/find_pairs.h"
#include "retort/tools/compare/right_answers.h"

namespace retort::tools {
namespace {

constexpr char kHelp[] = R"(Compares the test accuracy of two runs that are in the store, seed by seed.

  bazel run //tools:compare -- --config=configs/quickstart.textproto --runs=baseline,student

Prints the difference of each pair of one seed, their mean with its 95 % interval and the paired t-test (Student's
distribution), and for each pair McNemar's exact test of the images that one of both alone gets right.

  --runs=FIRST,SECOND  names of two stages that train or evaluate; differences are SECOND less FIRST
  --config=FILE        the experiment; where SECOND is of another, give it twice
  --set=PATH=VALUE     override a field, repeatable, as the runs were made with; of every config
  --store=DIR          default: the config's, then $RETORT_STORE, then ~/.cache/retort
  --data_dir=DIR       default: the config's, then $RETORT_DATA, then ~/.cache/retort/data
  --json               print JSON
  --help               print this

Exit codes: 0 done; 64 wrong usage; 65 something is damaged; 66 a run is not in the store; 78 wrong config, or runs
that have no common seed or test set.
)";

struct Options {
  std::vector<std::string> configs;
  std::vector<std::string> runs;
  std::vector<std::string> set;
  std::string store;
  std::string data_dir;
  bool json = false;
  bool help = false;
};

absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments) {
  Options options;
  for (const std::string& argument : arguments) {
    const std::pair<std::string, std::string> name_and_value = absl::StrSplit(argument, absl::MaxSplits('=', 1));
    const auto& [name, value] = name_and_value;
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--help") {
      options.help = true;
    } else if (name == "--config" && !value.empty()) {
      options.configs.push_back(value);
    } else if (name == "--runs" && !value.empty()) {
      options.runs = absl::StrSplit(value, ',');
    } else if (name == "--set" && !value.empty()) {
      options.set.push_back(value);
    } else if (name == "--store" && !value.empty()) {
      options.store = value;
    } else if (name == "--data_dir" && !value.empty()) {
      options.data_dir = value;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown argument \"", argument, "\"; ",
                       pipelines::Permitted(name, {"--config=FILE", "--runs=FIRST,SECOND", "--set=PATH=VALUE",
                                                   "--store=DIR", "--data_dir=DIR", "--json", "--help"})));
    }
  }
  if (options.help) return options;
  if (options.configs.empty() || options.configs.size() > 2) {
    return absl::InvalidArgumentError("give --config=FILE once, or once for each run; see --help");
  }
  if (options.runs.size() != 2 || absl::c_linear_search(options.runs, "")) {
    return absl::InvalidArgumentError("give two runs, as in --runs=baseline,student; see --help");
  }
  return options;
}

// One side: what a run needs to be found.
struct Side {
  pipelines::Plan plan;
  pipelines::ArtifactStore store;
  std::string arguments;
};

absl::StatusOr<Side> Prepare(const Options& options, const std::string& config_path) {
  RETORT_ASSIGN_OR_RETURN(config::Pipeline pipeline,
                          pipelines::LoadPipeline(pipelines::ResolveUserPath(config_path), options.set));
  pipelines::ResolvePaths(&pipeline);
  RETORT_ASSIGN_OR_RETURN(pipelines::ArtifactStore store,
                          pipelines::ArtifactStore::Open(pipelines::StoreFolder(options.store, pipeline)));
  const std::string data_dir = pipelines::DataFolder(options.data_dir, pipeline);
  RETORT_ASSIGN_OR_RETURN(pipelines::Plan plan, pipelines::MakePlan(std::move(pipeline), data_dir));
  std::string arguments = absl::StrCat("--config=", config_path);
  for (const std::string& set : options.set) absl::StrAppend(&arguments, " --set=", set);
  if (!options.store.empty()) absl::StrAppend(&arguments, " --store=", options.store);
  if (!options.data_dir.empty()) absl::StrAppend(&arguments, " --data_dir=", options.data_dir);
  return Side{std::move(plan), std::move(store), std::move(arguments)};
}

absl::StatusOr<data::Dataset> OpenTestSet(const Replicate& replicate) {
  RETORT_ASSIGN_OR_RETURN(data::DatasetSplits splits, data::OpenDataset(replicate.dataset.File("dataset.safetensors")));
  return replicate.training_split ? std::move(splits.train) : std::move(splits.test);
}

absl::Status CheckSame(const data::Dataset& first, const data::Dataset& second, const Options& options) {
  if (first.images == second.images && first.labels == second.labels && first.height == second.height &&
      first.channels == second.channels) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("the test sets differ: \"", options.runs[0], "\" was measured on ",
                                                 first.size, " images, \"", options.runs[1], "\" on ", second.size,
                                                 " others; compare runs that were measured on the same images"));
}

bool ChannelsLast(const Side& side) {
  return side.plan.pipeline->numerics().memory_format() == config::Numerics::CHANNELS_LAST;
}

absl::StatusOr<SeedPair> Compare(const ReplicatePair& pair, const Side& first, const Side& second,
                                 const Options& options, int64_t* images) {
  RETORT_ASSIGN_OR_RETURN(const data::Dataset dataset, OpenTestSet(pair.first));
  RETORT_ASSIGN_OR_RETURN(const data::Dataset other, OpenTestSet(pair.second));
  RETORT_RETURN_IF_ERROR(CheckSame(dataset, other, options));
  *images = dataset.size;
  SeedPair result;
  result.seed = pair.first.seed;
  result.right[0] = std::llround(pair.first.accuracy * static_cast<double>(dataset.size));
  result.right[1] = std::llround(pair.second.accuracy * static_cast<double>(dataset.size));
  RETORT_ASSIGN_OR_RETURN(const std::vector<bool> a, RightAnswers(pair.first.model, dataset, ChannelsLast(first)));
  RETORT_ASSIGN_OR_RETURN(const std::vector<bool> b, RightAnswers(pair.second.model, dataset, ChannelsLast(second)));
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) ++result.alone[a[i] ? 0 : 1];
  }
  return result;
}

absl::Status Run(const Options& options) {
  RETORT_ASSIGN_OR_RETURN(const Side first, Prepare(options, options.configs.front()));
  RETORT_ASSIGN_OR_RETURN(const Side second, Prepare(options, options.configs.back()));
  RETORT_ASSIGN_OR_RETURN(const std::vector<ReplicatePair> pairs,
                          FindPairs({options.runs[0], &first.plan, &first.store, first.arguments},
                                    {options.runs[1], &second.plan, &second.store, second.arguments}));
  nn::ConfigureRuntime(first.plan.pipeline->numerics().threads());
  Comparison comparison;
  comparison.runs[0] = options.runs[0];
  comparison.runs[1] = options.runs[1];
  for (const ReplicatePair& pair : pairs) {
    std::cerr << "seed " << pair.first.seed << ": asking both models\n";
    RETORT_ASSIGN_OR_RETURN(const SeedPair compared, Compare(pair, first, second, options, &comparison.images));
    comparison.pairs.push_back(compared);
  }
  std::cout << (options.json ? ComparisonJson(comparison) : ComparisonTable(comparison));
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& arguments) {
  const absl::StatusOr<Options> options = ParseArguments(arguments);
  if (!options.ok()) {
    std::cerr << "error: " << options.status().message() << "\n";
    return pipelines::kExitUsage;
  }
  if (options->help) {
    std::cout << kHelp;
    return 0;
  }
  const absl::Status status = pipelines::WithoutExceptions([&] { return Run(*options); });
  if (!status.ok()) std::cerr << "error: " << status.message() << "\n";
  return pipelines::ExitCode(status, 0);
}

}  // namespace
}  // namespace retort::tools

int main(int argc, char** argv) { return retort::tools::Main(std::vector<std::string>(argv + 1, argv + argc)); }
