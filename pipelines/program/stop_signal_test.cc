#include "retort/pipelines/program/stop_signal.h"

#include <csignal>

#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

TEST(StopSignal, RemembersTheFirst) {
  CatchStopSignals();
  EXPECT_EQ(StopSignal(), 0);
  std::raise(SIGTERM);
  EXPECT_EQ(StopSignal(), SIGTERM);
  std::raise(SIGUSR1);
  EXPECT_EQ(StopSignal(), SIGTERM);
}

TEST(StopSignalDeathTest, ASecondInterruptEndsTheProcess) {
  EXPECT_EXIT(
      {
        CatchStopSignals();
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace retort::pipelines
