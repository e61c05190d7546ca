// How far a long piece of work is, on standard error.
//
//   student/7 [=======>               ]  31 %  2,310 images/s  3 min 31 s left  epoch 4/10, loss 1.2345
//
// On a terminal this is one bar that is redrawn at most ten times a second. Elsewhere (a file, a pipe) it is one line
// every few seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace retort::pipelines {

// Where progress goes. A test brings its own.
struct ProgressOutput {
  // Time since any fixed moment; never goes back.
  std::function<absl::Duration()> clock;
  std::function<void(absl::string_view)> write;
  // Characters in a row of the terminal; 0 where there is none.
  std::function<int()> columns;
};

// Standard error. No terminal where it is redirected or TERM is "dumb".
ProgressOutput StandardError();

// One piece of work of `total` units. For use by one thread.
//
//   Progress progress("student/7", total, "images", deployment.progress_seconds());
//   progress.Update(resumed, "");                      // what earlier sessions did: not part of the rate
//   while (...) progress.Update(done, "epoch 1/10, loss 2.3");
//   progress.Finish("accuracy 71.2 %");
class Progress {
 public:
  // A total of 0 is an unknown one: no share and no time left.
  Progress(std::string label, int64_t total, std::string unit, double seconds_between_lines,
           ProgressOutput output = StandardError());
  // Takes the bar off the screen if the work was not finished, so that an error message has a line of its own.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` counts from the very beginning. The first call shows at once and is the base of the rate, which is
  // (done - first done) / (now - first time).
  void Update(int64_t done, absl::string_view note);

  // A line of its own; the bar steps aside and comes back with the next Update.
  void Print(absl::string_view line);

  // The last line: time and rate of this session, and `summary`.
  void Finish(absl::string_view summary);

 private:
  std::string Rate(int64_t done, absl::Duration now) const;
  std::string TimeLeft(int64_t done, absl::Duration now) const;
  std::vector<std::string> Details(int64_t done, absl::Duration now, absl::string_view note) const;
  std::string Bar(int64_t done, absl::Duration now, absl::string_view note) const;
  std::string Line(int64_t done, absl::Duration now, absl::string_view note) const;
  void Clear();

  const std::string label_;
  const int64_t total_;
  const std::string unit_;
  const absl::Duration between_lines_;
  const ProgressOutput output_;

  bool started_ = false;
  absl::Duration start_;
  int64_t first_done_ = 0;
  int64_t last_done_ = 0;
  absl::Duration last_shown_;
  bool bar_visible_ = false;
};

}  // namespace retort::pipelines
