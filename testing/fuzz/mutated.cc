#include "retort/testing/fuzz/mutated.h"

#include <algorithm>

namespace retort::testing {

std::string Mutated(std::string bytes, const std::string& other, size_t head, std::mt19937& random) {
  const auto below = [&](size_t end) { return static_cast<size_t>(random()) % end; };
  for (size_t faults = 1 + below(4); faults > 0 && !bytes.empty(); --faults) {
    const size_t at = below(3) == 0 ? below(bytes.size()) : below(std::min(bytes.size(), head));
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes[at] = static_cast<char>(below(2) == 0 ? 0xff : 0);
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.erase(at, below(20));
        break;
      case 5:
        bytes.insert(at, other, below(other.size()), below(60));
        break;
    }
  }
  return bytes;
}

}  // namespace retort::testing
