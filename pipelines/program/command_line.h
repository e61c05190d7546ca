// The command line that all programs of pipelines/ share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace retort::pipelines {

struct CommandLine {
  std::string config;
  std::vector<std::string> set;  // in order
  std::string store;             // empty: the config's, then $RETORT_STORE, then ~/.cache/retort
  std::string data_dir;          // empty: the config's, then $RETORT_DATA, then ~/.cache/retort/data
  int64_t verify_targets = 0;
  bool plan = false;
  bool dry_run = false;
  bool print_config = false;
  bool help = false;
};

// "--name=value" or "--name value"; --set may be repeated. Abseil's flags know no repeated flag and end the process
// with 1 for an unknown one. InvalidArgument names the argument, what is permitted and the nearest flag.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

// What --help prints; `program` is "distill".
std::string HelpText(const std::string& program);

// A path that a user wrote, relative to where the user was: `bazel run` starts programs somewhere else and leaves the
// place in BUILD_WORKING_DIRECTORY.
std::string ResolveUserPath(const std::string& path);

}  // namespace retort::pipelines
