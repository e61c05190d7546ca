// Stopping politely.
#pragma once

namespace retort::pipelines {

// From now on SIGINT, SIGTERM and SIGUSR1 are remembered instead of ending the process; a second SIGINT ends it at
// once.
void CatchStopSignals();

// The signal that came first; 0 if none did.
int StopSignal();

}  // namespace retort::pipelines
