#include "retort/pipelines/progress/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "retort/pipelines/progress/format.h"

namespace retort::pipelines {
namespace {

constexpr absl::Duration kBetweenBars = absl::Milliseconds(100);
constexpr int kBarWidth = 24;
// To the first column, and erase to the end of the row.
constexpr char kClearRow[] = "\r\x1b[K";

// 0..1.
double Share(int64_t done, int64_t total) {
  return std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
}

// Rounded down, so that 100 is the end and nothing before it.
int Percent(int64_t done, int64_t total) { return static_cast<int>(std::floor(Share(done, total) * 100)); }

// The first `width` characters of UTF-8 `text`.
absl::string_view Clipped(absl::string_view text, int width) {
  size_t end = 0;
  for (int characters = 0; end < text.size(); ++end) {
    const bool begins_character = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (begins_character && ++characters > width) break;
  }
  return text.substr(0, end);
}

}  // namespace

ProgressOutput StandardError() {
  ProgressOutput output;
  output.clock = [] { return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch()); };
  output.write = [](absl::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); };
  output.columns = [] {
    const char* type = std::getenv("TERM");
    if (type == nullptr || absl::string_view(type) == "dumb" || isatty(STDERR_FILENO) == 0) return 0;
    winsize size = {};
    // A terminal that does not know its size has had 80 columns since the punched card.
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return static_cast<int>(size.ws_col);
  };
  return output;
}

Progress::Progress(std::string label, int64_t total, std::string unit, double seconds_between_lines,
                   ProgressOutput output)
    : label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      between_lines_(absl::Seconds(seconds_between_lines)),
      output_(std::move(output)) {}

Progress::~Progress() { Clear(); }

void Progress::Update(int64_t done, absl::string_view note) {
  const absl::Duration now = output_.clock();
  last_done_ = done;
  const bool first = !started_;
  if (first) {
    started_ = true;
    start_ = now;
    first_done_ = done;
  }
  const int columns = output_.columns();
  const absl::Duration pause = columns > 0 ? kBetweenBars : between_lines_;
  if (!first && now - last_shown_ < pause) return;
  last_shown_ = now;
  if (columns > 0) {
    // The last column stays free: some terminals wrap as soon as it is written.
    output_.write(absl::StrCat(kClearRow, Clipped(Bar(done, now, note), columns - 1)));
    bar_visible_ = true;
  } else {
    output_.write(absl::StrCat(Line(done, now, note), "\n"));
  }
}

void Progress::Print(absl::string_view line) {
  Clear();
  output_.write(absl::StrCat(line, "\n"));
}

void Progress::Finish(absl::string_view summary) {
  Clear();
  std::vector<std::string> parts;
  if (started_) {
    const absl::Duration now = output_.clock();
    parts.push_back(FormatElapsed(now - start_));
    if (std::string rate = Rate(last_done_, now); !rate.empty()) parts.push_back(std::move(rate));
  }
  if (!summary.empty()) parts.emplace_back(summary);
  output_.write(absl::StrCat(label_, ": ", parts.empty() ? "done" : absl::StrJoin(parts, ", "), "\n"));
}

// Empty until there is something to divide.
std::string Progress::Rate(int64_t done, absl::Duration now) const {
  const double seconds = absl::ToDoubleSeconds(now - start_);
  if (done <= first_done_ || seconds <= 0) return "";
  const double rate = static_cast<double>(done - first_done_) / seconds;
  const std::string number = rate < 10 ? absl::StrFormat("%.1f", rate) : GroupedDigits(std::llround(rate));
  return absl::StrCat(number, " ", unit_, "/s");
}

std::string Progress::TimeLeft(int64_t done, absl::Duration now) const {
  const absl::Duration elapsed = now - start_;
  if (done <= first_done_ || done >= total_ || elapsed <= absl::ZeroDuration()) return "";
  const double ratio = static_cast<double>(total_ - done) / static_cast<double>(done - first_done_);
  return absl::StrCat(FormatElapsed(elapsed * ratio), " left");
}

std::vector<std::string> Progress::Details(int64_t done, absl::Duration now, absl::string_view note) const {
  std::vector<std::string> details;
  for (std::string text : {Rate(done, now), TimeLeft(done, now), std::string(note)}) {
    if (!text.empty()) details.push_back(std::move(text));
  }
  return details;
}

std::string Progress::Bar(int64_t done, absl::Duration now, absl::string_view note) const {
  std::string row;
  if (total_ > 0) {
    const int filled = static_cast<int>(std::floor(Share(done, total_) * kBarWidth));
    std::string bar(filled, '=');
    if (filled < kBarWidth) bar += '>';
    bar.resize(kBarWidth, ' ');
    row = absl::StrFormat("%s [%s] %3d %%", label_, bar, Percent(done, total_));
  } else {
    row = absl::StrCat(label_, "  ", GroupedDigits(done), " ", unit_);
  }
  for (const std::string& detail : Details(done, now, note)) absl::StrAppend(&row, "  ", detail);
  return row;
}

std::string Progress::Line(int64_t done, absl::Duration now, absl::string_view note) const {
  std::string line = absl::StrCat(label_, ": ", GroupedDigits(done));
  if (total_ > 0) {
    absl::StrAppend(&line, " of ", GroupedDigits(total_), " ", unit_, " (", Percent(done, total_), " %)");
  } else {
    absl::StrAppend(&line, " ", unit_);
  }
  for (const std::string& detail : Details(done, now, note)) absl::StrAppend(&line, ", ", detail);
  return line;
}

void Progress::Clear() {
  if (!bar_visible_) return;
  output_.write(kClearRow);
  bar_visible_ = false;
}

}  // namespace retort::pipelines
