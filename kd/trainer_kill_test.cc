// Trainings that are killed (SIGKILL) and started again, as often as it takes.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "retort/data/io/file.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/kd/trainer.h"

namespace retort::kd {
namespace {

using Clock = std::chrono::steady_clock;

// Written by the child, read by the parent.
struct Shared {
  int64_t steps;         // done in the child's life
  int64_t resumed_from;  // images done before its first step
};

Shared* MakeShared() {
  return static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

// Trains to the end in `folder`, saving after every step, and leaves the weights in a file. Never returns.
[[noreturn]] void Child(const std::string& folder, Shared* shared, const std::function<void()>& after_step) {
  testing::TinyTraining tiny;
  TrainingRun run;
  run.work_dir = folder;
  run.checkpoint_seconds = 0;
  run.on_progress = [&](const TrainingRun::Progress& progress) {
    if (shared->steps == 0) shared->resumed_from = progress.images_done - 4;
    ++shared->steps;
    after_step();
  };
  if (!Train(tiny.task, run).ok()) _exit(1);
  _exit(data::WriteFileAtomically(folder + "/weights", testing::Weights(*tiny.model)).ok() ? 0 : 2);
}

class TrainerKillTest : public ::testing::Test {
 protected:
  // The parent must not compute with LibTorch: its threads do not survive a fork.
  pid_t Start(
      const std::string& folder, const std::function<void()>& after_step = [] {}) {
    *shared_ = {};
    const pid_t child = fork();
    if (child == 0) Child(folder, shared_, after_step);
    EXPECT_GT(child, 0);
    return child;
  }

  // True if the child was killed, false if it came to its end.
  static bool Killed(pid_t child) {
    int state = 0;
    EXPECT_EQ(waitpid(child, &state, 0), child);
    if (WIFSIGNALED(state)) {
      EXPECT_EQ(WTERMSIG(state), SIGKILL);
      return true;
    }
    EXPECT_EQ(WEXITSTATUS(state), 0);
    return false;
  }

  static std::string Result(const std::string& folder) {
    return *data::ReadFile(folder + "/weights") + *data::ReadFile(folder + "/metrics.jsonl");
  }

  Shared* const shared_ = MakeShared();
};

// After every single step, before its checkpoint: the step is lost, so the one that kills gets further each time.
TEST_F(TrainerKillTest, KilledAfterEveryStep) {
  const std::string whole = testing::NewFolder();
  ASSERT_FALSE(Killed(Start(whole)));
  const int64_t steps = shared_->steps;
  ASSERT_EQ(steps, 15);

  const std::string folder = testing::NewFolder();
  int64_t kills = 0;
  const auto kill_in_second_step = [this] {
    if (shared_->steps == 2) raise(SIGKILL);
  };
  while (Killed(Start(folder, kill_in_second_step))) {
    ++kills;
    ASSERT_LE(kills, steps);
  }
  EXPECT_EQ(kills, steps - 1);
  EXPECT_EQ(Result(folder), Result(whole));
}

// From outside at any moment: in a step, in a checkpoint, in a resume.
TEST_F(TrainerKillTest, KilledAtRandomMoments) {
  const std::string whole = testing::NewFolder();
  const Clock::time_point start = Clock::now();
  ASSERT_FALSE(Killed(Start(whole)));
  const auto duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();

  std::mt19937 random(11);
  int64_t kills = 0, resumed = 0;
  // A busy machine is slower or faster than the whole run was, so there are rounds until enough kills landed.
  for (int round = 0; round < 40 && (kills < 8 || resumed < 2); ++round) {
    const std::string folder = testing::NewFolder();
    for (int attempt = 0; attempt < 12; ++attempt) {
      const pid_t child = Start(folder);
      usleep(static_cast<useconds_t>(random() % static_cast<uint64_t>(duration)));
      kill(child, SIGKILL);
      if (!Killed(child)) break;
      ++kills;
      resumed += shared_->resumed_from > 0;
    }
    ASSERT_FALSE(Killed(Start(folder)));
    EXPECT_EQ(Result(folder), Result(whole)) << "round " << round;
  }
  // The kills landed, and some hit a training that another had begun.
  EXPECT_GE(kills, 8);
  EXPECT_GE(resumed, 2);
}

}  // namespace
}  // namespace retort::kd
