// write_two_sessions FOLDER: a training of 6 steps that was killed, and went on from step 4 to step 9. For
// event_file_tensorboard_test.py.
#include <cstdint>
#include <iostream>
#include <limits>

#include "retort/pipelines/progress/event_file.h"

namespace {

using ::retort::pipelines::EventFile;

bool WriteSession(const char* folder, int64_t first, int64_t last, double scale) {
  const auto file = EventFile::Create(folder, first);
  if (!file.ok()) {
    std::cerr << file.status() << "\n";
    return false;
  }
  for (int64_t step = first; step <= last; ++step) {
    const double x = static_cast<double>(step);
    // A value that is no number, and one that has no neighbour in single precision.
    const double odd = step == 7 ? std::numeric_limits<double>::quiet_NaN() : 16777217.0;
    const absl::Status added = (*file)->AddScalars(step, 1700000000.25 + x, {{"train/loss", scale * x}, {"odd", odd}});
    if (!added.ok()) {
      std::cerr << added << "\n";
      return false;
    }
  }
  std::cout << (*file)->path() << "\n";
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  return WriteSession(argv[1], 0, 5, 1) && WriteSession(argv[1], 4, 9, 10) ? 0 : 1;
}
