// Downloads a published data set into a folder; see README.md.

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

#include "retort/data/sources/data_dir.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/tools/fetch/download.h"

ABSL_FLAG(std::string, dataset, "", "cifar10 or cifar100");
ABSL_FLAG(std::string, data_dir, "",
          "Folder to keep it in, made if need be; default $RETORT_DATA, then ~/.cache/retort/data.");
ABSL_FLAG(std::string, url, "", "Another place for the same archive; the official one by default.");

namespace retort::tools {
namespace {

// An archive and its digests. md5: as published at https://www.cs.toronto.edu/~kriz/cifar.html. SHA-256: of the same
// files, as pinned by several libraries, e.g. JuliaML/MLDatasets.jl.
struct Archive {
  std::string dataset;
  std::string file;
  std::string md5;
  std::string sha256;
};

const std::vector<Archive>& Archives() {
  static const auto& archives = *new std::vector<Archive>{
      {"cifar10", "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530",
       "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
      {"cifar100", "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8",
       "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"},
  };
  return archives;
}

int ExitCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return EX_USAGE;
    case absl::StatusCode::kDataLoss:
      return EX_DATAERR;
    case absl::StatusCode::kNotFound:
      return EX_NOINPUT;
    case absl::StatusCode::kUnavailable:
      return EX_UNAVAILABLE;
    case absl::StatusCode::kPermissionDenied:
      return EX_CANTCREAT;
    case absl::StatusCode::kResourceExhausted:
      return EX_IOERR;
    default:
      return EX_SOFTWARE;
  }
}

// A bar that is redrawn on a terminal, a line every few seconds elsewhere.
class Progress {
 public:
  ~Progress() {
    if (terminal_ && shown_) std::cerr << "\n";
  }

  void Show(int64_t done, int64_t total) {
    const absl::Time now = absl::Now();
    if (now - last_ < (terminal_ ? absl::Milliseconds(200) : absl::Seconds(5)) || done == 0) return;
    last_ = now;
    shown_ = true;
    std::string line = absl::StrFormat("%.1f MB", static_cast<double>(done) / 1e6);
    if (total > 0) {
      const double fraction = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
      const auto filled = static_cast<size_t>(fraction * kWidth);
      const std::string bar =
          terminal_ ? absl::StrCat("[", std::string(filled, '='), std::string(kWidth - filled, ' '), "] ") : "";
      line = absl::StrFormat("%s%3.0f %%  %s of %.1f MB", bar, 100 * fraction, line, static_cast<double>(total) / 1e6);
    }
    std::cerr << (terminal_ ? absl::StrCat("\r", line, "   ") : absl::StrCat(line, "\n")) << std::flush;
  }

 private:
  static constexpr size_t kWidth = 40;

  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  absl::Time last_ = absl::Now();
  bool shown_ = false;
};

int Usage(const std::string& fault) {
  std::cerr << fault << "; usage: fetch --dataset="
            << absl::StrJoin(Archives(), "|",
                             [](std::string* out, const Archive& archive) { absl::StrAppend(out, archive.dataset); })
            << " [--data_dir=DIR]\n";
  return EX_USAGE;
}

int Main() {
  const std::string dataset = absl::GetFlag(FLAGS_dataset);
  std::string data_dir = absl::GetFlag(FLAGS_data_dir);
  data_dir = pipelines::ResolveUserPath(data_dir.empty() ? data::DefaultDataDir() : data_dir);
  const auto archive = std::find_if(Archives().begin(), Archives().end(),
                                    [&dataset](const Archive& candidate) { return candidate.dataset == dataset; });
  if (archive == Archives().end()) return Usage(absl::StrCat("--dataset=", dataset, " is not known"));

  DownloadRequest request;
  request.url = absl::GetFlag(FLAGS_url);
  if (request.url.empty()) request.url = absl::StrCat("https://www.cs.toronto.edu/~kriz/", archive->file);
  request.path = absl::StrCat(data_dir, "/", archive->file);
  request.md5 = archive->md5;
  request.sha256 = archive->sha256;
  absl::StatusOr<DownloadResult> result;
  {
    Progress progress;
    request.progress = [&progress](int64_t done, int64_t total) { progress.Show(done, total); };
    std::cerr << "Fetching " << request.url << "\n";
    result = Download(request);
  }
  if (!result.ok()) {
    std::cerr << "error: " << result.status().message() << "\n";
    return ExitCode(result.status().code());
  }
  std::cerr << (*result == DownloadResult::kAlreadyThere ? "Already there and sound.\n" : "Done; digests are right.\n");
  std::cout << request.path << "\n";
  return EX_OK;
}

}  // namespace
}  // namespace retort::tools

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Downloads a published data set: fetch --dataset=cifar10|cifar100 [--data_dir=DIR]");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) return retort::tools::Usage(absl::StrCat("unexpected argument ", rest[1]));
  return retort::tools::Main();
}
