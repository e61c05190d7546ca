#include "retort/pipelines/program/command_line.h"

#include <cstdlib>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "retort/data/io/status_macros.h"
#include "retort/pipelines/config/did_you_mean.h"

namespace retort::pipelines {
namespace {

struct Flag {
  const char* name;
  const char* value;  // what stands for the value in the help; null for a switch
  const char* help;
  bool CommandLine::*on;
  std::string CommandLine::*text;
  std::vector<std::string> CommandLine::*list;
  int64_t CommandLine::*number = nullptr;
};

const std::vector<Flag>& Flags() {
  static const auto* const flags = new std::vector<Flag>{
      {"config", "FILE", "the experiment, a retort.config.Pipeline as text (pipelines/pipeline.proto)", nullptr,
       &CommandLine::config, nullptr},
      {"set", "PATH=VALUE", "override a field, repeatable: student.train.epochs=3, seed=9", nullptr, nullptr,
       &CommandLine::set},
      {"store", "DIR", "finished artifacts and checkpoints; default $RETORT_STORE, then ~/.cache/retort", nullptr,
       &CommandLine::store, nullptr},
      {"data_dir", "DIR", "data sets such as cifar-10-batches-bin/; default $RETORT_DATA, then ~/.cache/retort/data",
       nullptr, &CommandLine::data_dir, nullptr},
      {"verify_targets", "N", "ask the teacher again about N random records of every view of targets", nullptr, nullptr,
       nullptr, &CommandLine::verify_targets},
      {"plan", nullptr, "print each stage with its key, HIT or RUN and why, and end", &CommandLine::plan, nullptr,
       nullptr},
      {"dry_run", nullptr, "build every model, run one batch, print sizes, write nothing, and end",
       &CommandLine::dry_run, nullptr, nullptr},
      {"print_config", nullptr, "print the config with all overrides applied, and end", &CommandLine::print_config,
       nullptr, nullptr},
      {"help", nullptr, "print this, and end", &CommandLine::help, nullptr, nullptr},
  };
  return *flags;
}

absl::Status UnknownArgument(const std::string& argument, const std::string& name) {
  std::vector<std::string> names;
  for (const Flag& flag : Flags()) names.push_back(absl::StrCat("--", flag.name));
  return absl::InvalidArgumentError(absl::StrCat("unknown argument \"", argument, "\"; ",
                                                 Permitted(absl::StrCat("--", name), names),
                                                 "; --help says what they do"));
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine line;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!absl::StartsWith(argument, "--")) return UnknownArgument(argument, argument);
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Flag* found = nullptr;
    for (const Flag& flag : Flags()) {
      if (name == flag.name) found = &flag;
    }
    if (found == nullptr) return UnknownArgument(argument, name);
    if (found->value == nullptr) {
      const std::string value = equals == std::string::npos ? "true" : argument.substr(equals + 1);
      if (value != "true" && value != "false") {
        return absl::InvalidArgumentError(
            absl::StrCat("\"", argument, "\": permitted are --", name, ", --", name, "=true, --", name, "=false"));
      }
      line.*(found->on) = value == "true";
      continue;
    }
    if (equals == std::string::npos && i + 1 == arguments.size()) {
      return absl::InvalidArgumentError(absl::StrCat("\"", argument, "\" needs a value: --", name, "=", found->value));
    }
    const std::string value = equals == std::string::npos ? arguments[++i] : argument.substr(equals + 1);
    if (value.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", argument, "\" has an empty value; give --", name, "=", found->value));
    }
    if (found->list != nullptr) {
      (line.*(found->list)).push_back(value);
    } else if (found->number != nullptr) {
      if (!absl::SimpleAtoi(value, &(line.*(found->number))) || line.*(found->number) < 1) {
        return absl::InvalidArgumentError(absl::StrCat("\"", argument, "\": permitted are whole numbers from 1"));
      }
    } else {
      line.*(found->text) = value;
    }
  }
  if (line.config.empty() && !line.help) {
    return absl::InvalidArgumentError(
        "--config=FILE is missing; for a first try give --config=configs/quickstart.textproto, or see --help");
  }
  return line;
}

std::string HelpText(const std::string& program) {
  std::string text = absl::StrCat(
      "Runs the ", program, " stages of an experiment, and whatever they need that the store does not already hold;\n",
      "then the reports that need no other training.\n\n", "  bazel run //pipelines:", program,
      " -- --config=configs/quickstart.textproto\n\n");
  for (const Flag& flag : Flags()) {
    const std::string spelling =
        flag.value == nullptr ? absl::StrCat("--", flag.name) : absl::StrCat("--", flag.name, "=", flag.value);
    absl::StrAppendFormat(&text, "  %-18s  %s\n", spelling, flag.help);
  }
  absl::StrAppend(&text,
                  "\nStopped by Ctrl-C or SIGTERM it writes a checkpoint; the same command goes on from there.\n\n"
                  "Exit codes: 0 done; 64 wrong usage; 65 damaged data; 66 missing input; 70 a fault of ours;\n"
                  "73 cannot write; 74 disk full or another I/O error; 75 stopped by SIGTERM or busy, run again;\n"
                  "78 wrong config; 130 stopped by Ctrl-C.\n");
  return text;
}

std::string ResolveUserPath(const std::string& path) {
  const char* directory = std::getenv("BUILD_WORKING_DIRECTORY");
  if (directory == nullptr || absl::StartsWith(path, "/")) return path;
  return absl::StrCat(directory, "/", path);
}

}  // namespace retort::pipelines
