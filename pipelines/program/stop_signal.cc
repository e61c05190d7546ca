#include "retort/pipelines/program/stop_signal.h"

#include <csignal>
#include <initializer_list>

namespace retort::pipelines {
namespace {

volatile std::sig_atomic_t stop_signal = 0;

void Remember(int signal) {
  if (stop_signal != 0 && signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  if (stop_signal == 0) stop_signal = signal;
}

}  // namespace

void CatchStopSignals() {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    struct sigaction action = {};
    action.sa_handler = Remember;
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
  }
}

int StopSignal() { return stop_signal; }

}  // namespace retort::pipelines
