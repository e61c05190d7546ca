#include "retort/ops/torch/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/ops/ones.h"
#include "HalideRuntime.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::ops::torch {
namespace {

using ::testing::Each;
using ::testing::SizeIs;

uint8_t* Closure(void* pointer) { return static_cast<uint8_t*>(pointer); }

// A loop of the kind that generated code makes.
int Loop(halide_task_t task, int begin, int count, void* closure) {
  UseTorchThreads();
  return halide_do_par_for(nullptr, task, begin, count, Closure(closure));
}

int AddOne(void*, int, uint8_t* closure) {
  ++*reinterpret_cast<std::atomic<int>*>(closure);
  return 0;
}

struct Meeting {
  std::atomic<int> present{0};
  std::atomic<bool> met{false};
};

// Waits until two tasks are under way at the same time, at most five seconds.
int Meet(void*, int, uint8_t* closure) {
  auto& meeting = *reinterpret_cast<Meeting*>(closure);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  if (++meeting.present == 2) meeting.met = true;
  while (!meeting.met && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  --meeting.present;
  return 0;
}

TEST(UseTorchThreadsTest, RunsALoopOnSeveralThreadsAtOnce) {
  at::set_num_threads(2);
  Meeting meeting;
  EXPECT_EQ(Loop(&Meet, 0, 2, &meeting), 0);
  EXPECT_TRUE(meeting.met);
}

TEST(UseTorchThreadsTest, ObeysLibTorchsThreadCount) {
  at::set_num_threads(1);
  std::set<std::thread::id> threads;
  const auto note = [](void*, int, uint8_t* closure) {
    reinterpret_cast<std::set<std::thread::id>*>(closure)->insert(std::this_thread::get_id());
    return 0;
  };
  EXPECT_EQ(Loop(note, 0, 100, &threads), 0);
  EXPECT_THAT(threads, SizeIs(1));
  at::set_num_threads(2);
}

TEST(UseTorchThreadsTest, RunsEachTaskOnce) {
  std::vector<int> count(1000);
  const auto add = [](void*, int i, uint8_t* closure) {
    ++(*reinterpret_cast<std::vector<int>*>(closure))[static_cast<size_t>(i - 7)];
    return 0;
  };
  EXPECT_EQ(Loop(add, 7, 1000, &count), 0);
  EXPECT_THAT(count, Each(1));
  EXPECT_EQ(Loop(add, 7, 0, &count), 0);
  EXPECT_THAT(count, Each(1));
}

TEST(UseTorchThreadsTest, ReportsAFailedTask) {
  const auto fail_at_three = [](void*, int i, uint8_t*) { return i == 3 ? -41 : 0; };
  EXPECT_EQ(Loop(fail_at_three, 0, 8, nullptr), -41);
}

TEST(UseTorchThreadsTest, DoesNotBlockOnALoopWithinALoop) {
  at::set_num_threads(2);
  std::atomic<int> count{0};
  const auto outer = [](void*, int, uint8_t* closure) { return Loop(&AddOne, 0, 10, closure); };
  EXPECT_EQ(Loop(outer, 0, 10, &count), 0);
  EXPECT_EQ(count, 100);
  // Halide inside LibTorch's loop, and LibTorch's operators inside Halide's.
  at::parallel_for(0, 10, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) EXPECT_EQ(Loop(&AddOne, 0, 10, &count), 0);
  });
  EXPECT_EQ(count, 200);
  const auto sum = [](void*, int, uint8_t* closure) {
    *reinterpret_cast<std::atomic<int>*>(closure) += at::ones({1000}, at::kInt).sum().item<int>();
    return 0;
  };
  EXPECT_EQ(Loop(sum, 0, 4, &count), 0);
  EXPECT_EQ(count, 4200);
}

TEST(UseTorchThreadsTest, LeavesOneOpenMpInTheProcess) {
  std::set<std::string> libraries;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    for (const char* name : {"libgomp", "libomp", "libiomp"}) {
      if (line.find(name) != std::string::npos) libraries.insert(line.substr(line.find('/')));
    }
  }
  EXPECT_THAT(libraries, SizeIs(1));
}

}  // namespace
}  // namespace retort::ops::torch
