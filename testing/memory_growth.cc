#include "retort/testing/memory_growth.h"

#include <malloc.h>

#include <fstream>
#include <iterator>
#include <string>

namespace retort::testing {
namespace {

// A number of kB in /proc/self/status, in bytes.
int64_t Status(const std::string& field) {
  std::ifstream file("/proc/self/status");
  const std::string status((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return std::stoll(status.substr(status.find(field + ":") + field.size() + 1)) * 1024;
}

}  // namespace

MemoryGrowth GrowthOfMemory(absl::FunctionRef<void()> call) {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const int64_t peak = Status("VmHWM"), anonymous = Status("RssAnon");
  call();
  return {Status("VmHWM") - peak, Status("RssAnon") - anonymous};
}

}  // namespace retort::testing
