// What a program tells its caller, after sysexits.h.
#pragma once

#include "absl/status/status.h"

namespace retort::pipelines {

inline constexpr int kExitUsage = 64;

// 0 OK; 65 damaged data; 66 missing input; 70 a fault of ours; 73 cannot write; 74 disk full or another I/O error; 75
// stopped by a signal other than SIGINT, or another process is at work: run again; 78 wrong config; 130 stopped by
// SIGINT (`stop_signal`).
int ExitCode(const absl::Status& status, int stop_signal);

}  // namespace retort::pipelines
