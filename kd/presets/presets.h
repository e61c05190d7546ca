// Objectives by the name of their paper.
#pragma once

#include <string>

#include "retort/kd/objective.pb.h"

namespace retort::kd {

// The terms of the preset (kd/preset.proto), each with its options and weight said, then those that are listed; no
// preset. An objective without one is as it was.
config::Objective Expanded(const config::Objective& objective);

// "term { weight: 0.9 distill { temperature: 4 } }", a line each, of an expanded objective. What is not said has its
// default.
std::string TermLines(const config::Objective& objective);

}  // namespace retort::kd
