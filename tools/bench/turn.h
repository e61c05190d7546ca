// One side of a comparison that runs in turns with another program.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace retort::bench {

// One measurement: called first to set up, it returns what runs one round and gives units of work (images, calls) and
// the seconds they took.
struct Case {
  struct Round {
    double units;
    double seconds;
  };
  std::string name;
  std::function<std::function<Round()>()> set_up;
};

// Reads names of cases from standard input, a line each; runs one round of each and answers with a line: units a
// second. The first round of a case is run twice, the first time to warm up. "list" answers with the names. Ends at the
// end of input, or with exit code 64 at a name that is not there.
int TakeTurns(const std::vector<Case>& cases);

}  // namespace retort::bench
