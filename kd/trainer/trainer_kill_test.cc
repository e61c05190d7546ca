// Trainings that are killed (SIGKILL) and started again, as often as it takes.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <new>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "retort/data/io/file.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/kd/trainer/trainer.h"
#include "retort/testing/new_folder.h"

namespace retort::kd {
namespace {

// Written by the child, read by the parent.
struct Shared {
  std::atomic<int64_t> steps;         // done in the child's life
  std::atomic<int64_t> resumed_from;  // images done before its first step
};

Shared* MakeShared() {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (memory) Shared{};
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
    shared_->steps = 0;
    shared_->resumed_from = 0;
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
  const std::string whole = retort::testing::NewFolder();
  ASSERT_FALSE(Killed(Start(whole)));
  const int64_t steps = shared_->steps;
  ASSERT_EQ(steps, 15);

  const std::string folder = retort::testing::NewFolder();
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

// From outside, a random moment after a random step: in a step, in a checkpoint, in a resume.
TEST_F(TrainerKillTest, KilledAtRandomMoments) {
  const std::string whole = retort::testing::NewFolder();
  ASSERT_FALSE(Killed(Start(whole)));

  std::mt19937 random(11);
  int64_t kills = 0, resumed = 0;
  for (int round = 0; round < 50 && (kills < 12 || resumed < 4); ++round) {
    const std::string folder = retort::testing::NewFolder();
    bool killed = true;
    while (killed) {
      const pid_t child = Start(folder);
      const int64_t steps = static_cast<int64_t>(random() % 5);
      siginfo_t end = {};
      while (shared_->steps < steps && end.si_pid == 0) {
        usleep(100);
        waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOHANG | WNOWAIT);
      }
      usleep(static_cast<useconds_t>(random() % 2000));
      kill(child, SIGKILL);
      killed = Killed(child);
      kills += killed;
      resumed += killed && shared_->resumed_from > 0;
    }
    EXPECT_EQ(Result(folder), Result(whole)) << "round " << round;
  }
  // The kills landed, and some hit a training that another had begun.
  EXPECT_GE(kills, 12);
  EXPECT_GE(resumed, 4);
}

}  // namespace
}  // namespace retort::kd
