#include "retort/tools/bench/turn.h"

#include <cstdio>
#include <iostream>
#include <map>

namespace retort::bench {

int TakeTurns(const std::vector<Case>& cases) {
  std::map<std::string, std::function<Case::Round()>> rounds;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "list") {
      for (const Case& c : cases) std::printf("%s ", c.name.c_str());
      std::printf("\n");
      std::fflush(stdout);
      continue;
    }
    auto round = rounds.find(line);
    if (round == rounds.end()) {
      for (const Case& c : cases) {
        if (c.name == line) round = rounds.emplace(line, c.set_up()).first;
      }
      if (round == rounds.end()) {
        std::fprintf(stderr, "case \"%s\" is unknown; \"list\" names them\n", line.c_str());
        return 64;
      }
      round->second();
    }
    const Case::Round result = round->second();
    std::printf("%.9g\n", result.units / result.seconds);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace retort::bench
