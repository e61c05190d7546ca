#include "retort/tools/store/store_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/pipelines/config/did_you_mean.h"
#include "retort/pipelines/config/number_text.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/pipelines/program/exit_code.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::tools {
namespace {

using ::retort::pipelines::ArtifactStore;
using ::retort::pipelines::StoredArtifact;

constexpr char kHelp[] = R"(Looks into a store of artifacts.

  list                    every artifact with its key, when it was made, its size and metrics
  show KEY                one artifact: files, metrics, inputs, and the text that its key is the SHA-256 of
  diff KEY KEY            where the texts of two keys differ: why the second was not a hit for the first
  verify [KEY...]         reads every byte and compares hashes; ends with 65 if anything is damaged
  prune                   removes what is chosen by:
    --damaged               artifacts that are damaged
    --all                   all artifacts
    --work                  checkpoints of stages that did not finish, and pieces that a killed process left behind
    --older_than=30d        only what has not changed for so long; s, m, h or d; default 1d with --work, else 0s
    --dry_run               say what would go, remove nothing

  --kind=distill          only artifacts of this kind: for list, verify and prune
  --store=DIR             default $RETORT_STORE, then ~/.cache/retort
  --help                  print this

KEY is the start of a key, as long as needed to be the only one; "distill/3f" looks only at that kind.
What a running process works on is never removed.
)";

struct Options {
  std::string command;
  std::vector<std::string> keys;
  std::string store;
  std::string kind;
  absl::optional<absl::Duration> older_than;
  bool all = false;
  bool damaged = false;
  bool work = false;
  bool dry_run = false;
  bool help = false;
};

// "90s", "5m", "12h", "30d".
absl::StatusOr<absl::Duration> ParseAge(absl::string_view text) {
  absl::string_view number = text;
  absl::Duration age;
  int64_t days = 0;
  if (absl::ConsumeSuffix(&number, "d")) {
    if (absl::SimpleAtoi(number, &days) && days >= 0 && days <= 100000) return absl::Hours(24 * days);
  } else if (absl::ParseDuration(std::string(text), &age) && age >= absl::ZeroDuration()) {
    return age;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no age; permitted: 90s, 5m, 12h, 30d"));
}

absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments) {
  Options options;
  for (const std::string& argument : arguments) {
    const std::pair<std::string, std::string> name_and_value = absl::StrSplit(argument, absl::MaxSplits('=', 1));
    const auto& [name, value] = name_and_value;
    if (!absl::StartsWith(argument, "-")) {
      (options.command.empty() ? options.command : options.keys.emplace_back()) = argument;
    } else if (argument == "--all") {
      options.all = true;
    } else if (argument == "--damaged") {
      options.damaged = true;
    } else if (argument == "--work") {
      options.work = true;
    } else if (argument == "--dry_run") {
      options.dry_run = true;
    } else if (argument == "--help") {
      options.help = true;
    } else if (name == "--store" && !value.empty()) {
      options.store = pipelines::ResolveUserPath(value);
    } else if (name == "--kind" && !value.empty()) {
      options.kind = value;
    } else if (name == "--older_than") {
      RETORT_ASSIGN_OR_RETURN(options.older_than, ParseAge(value));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown argument \"", argument, "\"; ",
                       pipelines::Permitted(name, {"--all", "--damaged", "--work", "--dry_run", "--older_than=AGE",
                                                   "--kind=KIND", "--store=DIR", "--help"})));
    }
  }
  return options;
}

absl::Status Usage(absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat(what, "; see --help")); }

// Options that a command does not know are refused, not ignored.
absl::Status CheckOptions(const Options& options) {
  const std::string& command = options.command;
  const std::vector<std::string> commands = {"list", "show", "diff", "verify", "prune"};
  if (command.empty()) return Usage(absl::StrCat("needs a command: ", absl::StrJoin(commands, ", ")));
  if (!absl::c_linear_search(commands, command)) {
    return Usage(absl::StrCat("no command \"", command, "\"; ", pipelines::Permitted(command, commands)));
  }
  const size_t keys = options.keys.size();
  if (command == "show" && keys != 1) return Usage("show needs one KEY");
  if (command == "diff" && keys != 2) return Usage("diff needs two KEYs");
  if ((command == "list" || command == "prune") && keys != 0) return Usage(absl::StrCat(command, " takes no KEY"));
  const bool prunes =
      options.all || options.damaged || options.work || options.dry_run || options.older_than.has_value();
  if (command != "prune" && prunes) {
    return Usage("--all, --damaged, --work, --older_than and --dry_run belong to prune");
  }
  if (command == "prune" && !options.all && !options.damaged && !options.work) {
    return Usage("prune needs to know what: --damaged, --work or --all");
  }
  if (!options.kind.empty() && (command == "show" || command == "diff")) {
    return Usage(absl::StrCat(command, " takes no --kind; write KIND/KEY"));
  }
  return absl::OkStatus();
}

std::string ByteText(int64_t bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes);
  size_t unit = 0;
  while (amount >= 999.5 && unit + 1 < std::size(units)) {
    amount /= 1000;
    ++unit;
  }
  return unit == 0 ? absl::StrCat(bytes, " B") : absl::StrFormat("%.3g %s", amount, units[unit]);
}

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M", time, absl::UTCTimeZone()); }

int64_t Bytes(const config::Artifact& manifest) {
  int64_t bytes = 0;
  for (const config::Artifact::File& file : manifest.file()) bytes += file.bytes();
  return bytes;
}

std::string MetricsText(const config::Artifact& manifest) {
  std::vector<std::string> metrics;
  for (const config::Artifact::Metric& metric : manifest.metric()) {
    metrics.push_back(absl::StrFormat("%s %.6g", metric.name(), metric.value()));
  }
  return absl::StrJoin(metrics, ", ");
}

std::vector<ArtifactStore::Entry> OfKind(std::vector<ArtifactStore::Entry> entries, const std::string& kind) {
  if (kind.empty()) return entries;
  entries.erase(std::remove_if(entries.begin(), entries.end(),
                               [&](const ArtifactStore::Entry& entry) { return entry.kind != kind; }),
                entries.end());
  return entries;
}

// The one artifact whose key starts with `text`.
absl::StatusOr<ArtifactStore::Entry> FindEntry(const std::vector<ArtifactStore::Entry>& entries,
                                               absl::string_view text) {
  const size_t slash = text.find('/');
  const std::string kind(slash == absl::string_view::npos ? "" : text.substr(0, slash));
  const absl::string_view digits = slash == absl::string_view::npos ? text : text.substr(slash + 1);
  std::vector<const ArtifactStore::Entry*> found;
  std::vector<std::string> names;
  for (const ArtifactStore::Entry& entry : entries) {
    const std::string& key = entry.artifact.ok() ? entry.artifact->manifest.key() : entry.digits;
    if ((!kind.empty() && entry.kind != kind) || !absl::StartsWith(key, digits)) continue;
    found.push_back(&entry);
    names.push_back(absl::StrCat(entry.kind, "/", entry.digits));
  }
  if (found.empty()) return absl::NotFoundError(absl::StrCat("no artifact ", text, "; \"list\" says what there is"));
  if (found.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(text, " may be any of ", absl::StrJoin(names, ", "), "; give more digits"));
  }
  return *found[0];
}

void PrintList(const std::vector<ArtifactStore::Entry>& entries, std::ostream& out) {
  int64_t total = 0;
  for (const ArtifactStore::Entry& entry : entries) {
    out << absl::StrFormat("%-12s  %s  %s  ", entry.kind, entry.digits, TimeText(entry.made));
    if (entry.artifact.ok()) {
      const config::Artifact& manifest = entry.artifact->manifest;
      total += Bytes(manifest);
      out << absl::StripTrailingAsciiWhitespace(absl::StrFormat("%8s  %8.1f s  %s", ByteText(Bytes(manifest)),
                                                                manifest.seconds(), MetricsText(manifest)))
          << "\n";
    } else {
      out << "DAMAGED: " << entry.artifact.status().message() << "\n";
    }
  }
  out << entries.size() << " artifacts, " << ByteText(total) << "\n";
}

absl::Status Show(const ArtifactStore::Entry& entry, std::ostream& out) {
  RETORT_RETURN_IF_ERROR(entry.artifact.status());
  const config::Artifact& manifest = entry.artifact->manifest;
  RETORT_ASSIGN_OR_RETURN(const std::string key_text, data::ReadFile(entry.artifact->File("key.txt")));
  out << manifest.kind() << " " << manifest.key() << "\n"
      << "folder: " << entry.folder << "\n"
      << "made: " << TimeText(entry.made) << " UTC, in " << pipelines::NumberText(manifest.seconds()) << " s\n";
  for (const config::Artifact::Input& input : manifest.input()) {
    out << "input: " << input.role() << ", " << input.kind() << " " << input.key() << "\n";
  }
  for (const config::Artifact::File& file : manifest.file()) {
    out << "file: " << file.name() << ", " << file.bytes() << " bytes, SHA-256 " << file.sha256() << "\n";
  }
  for (const config::Artifact::Metric& metric : manifest.metric()) {
    out << "metric: " << metric.name() << " " << pipelines::NumberText(metric.value()) << "\n";
  }
  out << "\nThe key is the SHA-256 of this text:\n\n" << key_text;
  return absl::OkStatus();
}

// Lines of `a` that `b` lacks with "-", lines of `b` that `a` lacks with "+", by a longest common subsequence.
std::string LineDiff(absl::string_view text_a, absl::string_view text_b) {
  const std::vector<absl::string_view> a = absl::StrSplit(absl::StripSuffix(text_a, "\n"), '\n');
  const std::vector<absl::string_view> b = absl::StrSplit(absl::StripSuffix(text_b, "\n"), '\n');
  // common[i][j]: lines that a from i on and b from j on have in common.
  std::vector<std::vector<int>> common(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      common[i][j] = a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::string diff;
  for (size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      ++i;
      ++j;
    } else if (j == b.size() || (i < a.size() && common[i + 1][j] >= common[i][j + 1])) {
      absl::StrAppend(&diff, "- ", a[i++], "\n");
    } else {
      absl::StrAppend(&diff, "+ ", b[j++], "\n");
    }
  }
  return diff;
}

absl::Status Diff(const ArtifactStore::Entry& a, const ArtifactStore::Entry& b, std::ostream& out) {
  RETORT_RETURN_IF_ERROR(a.artifact.status());
  RETORT_RETURN_IF_ERROR(b.artifact.status());
  RETORT_ASSIGN_OR_RETURN(const std::string text_a, data::ReadFile(a.artifact->File("key.txt")));
  RETORT_ASSIGN_OR_RETURN(const std::string text_b, data::ReadFile(b.artifact->File("key.txt")));
  out << LineDiff(text_a, text_b);
  return absl::OkStatus();
}

absl::Status Verify(const std::vector<ArtifactStore::Entry>& entries, std::ostream& out) {
  int damaged = 0;
  for (const ArtifactStore::Entry& entry : entries) {
    if (entry.artifact.ok()) continue;
    ++damaged;
    out << "DAMAGED " << entry.kind << "/" << entry.digits << ": " << entry.artifact.status().message() << "\n";
  }
  out << entries.size() - static_cast<size_t>(damaged) << " sound, " << damaged << " damaged\n";
  if (damaged == 0) return absl::OkStatus();
  return absl::DataLossError("the next run makes damaged artifacts anew; \"prune --damaged\" removes them");
}

// Removes one thing, or says that it would. What is in use stays, and is no error.
template <typename Thing>
absl::Status PruneOne(const ArtifactStore& store, const Thing& thing, bool dry_run, std::ostream& out) {
  if (dry_run) {
    out << "would remove " << thing.folder << "\n";
    return absl::OkStatus();
  }
  const absl::Status removed = store.Remove(thing);
  if (removed.ok()) out << "removed " << thing.folder << "\n";
  if (!absl::IsUnavailable(removed)) return removed;
  out << "kept " << thing.folder << ": " << removed.message() << "\n";
  return absl::OkStatus();
}

absl::Status Prune(const ArtifactStore& store, const Options& options, std::ostream& out) {
  const absl::Time now = absl::Now();
  if (options.all || options.damaged) {
    RETORT_ASSIGN_OR_RETURN(std::vector<ArtifactStore::Entry> entries, store.List(/*verify=*/!options.all));
    for (const ArtifactStore::Entry& entry : OfKind(std::move(entries), options.kind)) {
      if (!options.all && entry.artifact.ok()) continue;
      if (now - entry.made < options.older_than.value_or(absl::ZeroDuration())) continue;
      RETORT_RETURN_IF_ERROR(PruneOne(store, entry, options.dry_run, out));
    }
  }
  if (options.work) {
    RETORT_ASSIGN_OR_RETURN(const std::vector<ArtifactStore::Leftover> leftovers, store.Leftovers());
    for (const ArtifactStore::Leftover& leftover : leftovers) {
      if (!options.kind.empty() && leftover.kind != options.kind) continue;
      if (now - leftover.changed < options.older_than.value_or(absl::Hours(24))) continue;
      RETORT_RETURN_IF_ERROR(PruneOne(store, leftover, options.dry_run, out));
    }
  }
  return absl::OkStatus();
}

absl::Status Run(const Options& options, std::ostream& out) {
  RETORT_RETURN_IF_ERROR(CheckOptions(options));
  const std::string root = options.store.empty() ? pipelines::DefaultStoreRoot() : options.store;
  if (access(root.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("no store at ", root, "; name one with --store"));
  }
  RETORT_ASSIGN_OR_RETURN(const ArtifactStore store, ArtifactStore::Open(root));
  if (options.command == "prune") return Prune(store, options, out);

  RETORT_ASSIGN_OR_RETURN(std::vector<ArtifactStore::Entry> entries,
                          store.List(/*verify=*/options.command == "verify"));
  entries = OfKind(std::move(entries), options.kind);
  if (options.command == "list") {
    PrintList(entries, out);
    return absl::OkStatus();
  }
  std::vector<ArtifactStore::Entry> chosen;
  for (const std::string& key : options.keys) {
    RETORT_ASSIGN_OR_RETURN(ArtifactStore::Entry entry, FindEntry(entries, key));
    chosen.push_back(std::move(entry));
  }
  if (options.command == "show") return Show(chosen[0], out);
  if (options.command == "diff") return Diff(chosen[0], chosen[1], out);
  return Verify(chosen.empty() ? entries : chosen, out);
}

}  // namespace

int RunStoreCommand(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<Options> options = ParseArguments(arguments);
  if (options.ok() && options->help) {
    out << kHelp;
    return 0;
  }
  const absl::Status status = options.ok() ? Run(*options, out) : options.status();
  if (!status.ok()) err << "error: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? pipelines::kExitUsage : pipelines::ExitCode(status, 0);
}

}  // namespace retort::tools
