// Evaluates an objective on tensors of a file: the value of each term, and gradients.
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"

#include "retort/data/io/status_macros.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/pipelines/program/exit_code.h"
#include "retort/tools/objective/evaluate_objective.h"
#include "retort/tools/objective/term_list.h"

ABSL_FLAG(std::string, objective, "",
          "as in a config: 'term { cross_entropy {} } term { weight: 0.5 distill {} }', 'preset { hinton_kd {} }'");
ABSL_FLAG(std::string, tensors, "", "safetensors file of the step's tensors, f32 or f64 (tools/objective/bare_step.h)");
ABSL_FLAG(std::string, out, "", "safetensors file for gradients: grad.student.logits ...; none if left out");
ABSL_FLAG(int64_t, epoch, 0, "from 0, for weights that change");
ABSL_FLAG(absl::optional<uint64_t>, seed, absl::nullopt, "draws learnable parts that --tensors does not have");
ABSL_FLAG(int64_t, samples, 0, "training images, for memory banks; 0: one more than the greatest index");
ABSL_FLAG(bool, list, false, "print every term: formula, what it reads, what a cache must hold of it, source");

namespace retort::tools {
namespace {

constexpr char kUsage[] =
    "objective --objective=TEXT --tensors=IN.safetensors [--out=OUT.safetensors]   values of terms, gradients\n"
    "objective --list                                                             what terms there are";

absl::Status Run() {
  const std::string out = absl::GetFlag(FLAGS_out);
  RETORT_ASSIGN_OR_RETURN(const ObjectiveValues values,
                          EvaluateObjective({.objective = absl::GetFlag(FLAGS_objective),
                                             .tensors = pipelines::ResolveUserPath(absl::GetFlag(FLAGS_tensors)),
                                             .out = out.empty() ? "" : pipelines::ResolveUserPath(out),
                                             .epoch = absl::GetFlag(FLAGS_epoch),
                                             .seed = absl::GetFlag(FLAGS_seed),
                                             .samples = absl::GetFlag(FLAGS_samples)}));
  std::cerr << values.objective;
  for (const auto& [name, value] : values.terms) std::cout << absl::StreamFormat("%-24s %.12g\n", name, value);
  std::cout << absl::StreamFormat("%-24s %.12g\n", "total", values.total);
  return absl::OkStatus();
}

int Main(const std::vector<char*>& arguments) {
  const bool list = absl::GetFlag(FLAGS_list);
  const bool both = !absl::GetFlag(FLAGS_objective).empty() && !absl::GetFlag(FLAGS_tensors).empty();
  std::string misuse;
  if (arguments.size() > 1) misuse = "give flags alone";
  if (list ? !absl::GetFlag(FLAGS_objective).empty() : !both) misuse = "give --objective and --tensors, or --list";
  if (absl::GetFlag(FLAGS_epoch) < 0) misuse = "--epoch counts from 0";
  if (absl::GetFlag(FLAGS_samples) < 0) misuse = "--samples must not be negative";
  if (!misuse.empty()) {
    std::cerr << "error: " << misuse << "\n" << kUsage << "\n";
    return pipelines::kExitUsage;
  }
  if (list) {
    std::cout << TermList();
    return 0;
  }
  const absl::Status status = Run();
  if (!status.ok()) std::cerr << "error: " << status.message() << "\n";
  return pipelines::ExitCode(status, 0);
}

}  // namespace
}  // namespace retort::tools

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(retort::tools::kUsage);
  return retort::tools::Main(absl::ParseCommandLine(argc, argv));
}
