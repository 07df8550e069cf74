// Where a run on another thread and the JavaScript thread that waits for it meet.
//
// A thread that sleeps takes 50 to 150 us to come back on a virtual machine, which is long beside a run of a millisecond. So it is called shortly before the end, and then
// looks out for the end itself; unless that does not come, and it is called again.
#pragma once
#include <atomic>
#include <chrono>

#include "../runtime/pause.h"

namespace xcorr {

class Meeting {
 public:
  // How long before its end a run calls, and how long the other thread looks out: what it may be late, and as much again.
  static constexpr std::chrono::microseconds kLead{150}, kLookOut{300};

  // Of the thread that runs, at the end: whether nobody looks out, and the other thread must be called.
  bool EndedAlone() { return state_.exchange(State::kEnded, std::memory_order_acq_rel) == State::kRunning; }

  // Of the other thread: whether the end has come while it looked out. Once it has ended alone, a call for that is on its way.
  bool SawEnd() {
    State running = State::kRunning, watched = State::kWatched;
    if (!state_.compare_exchange_strong(running, State::kWatched, std::memory_order_acq_rel)) return false;
    const auto until = std::chrono::steady_clock::now() + kLookOut;
    while (state_.load(std::memory_order_acquire) == State::kWatched && std::chrono::steady_clock::now() < until) Pause();
    return !state_.compare_exchange_strong(watched, State::kRunning, std::memory_order_acq_rel);
  }

 private:
  enum class State { kRunning, kWatched, kEnded };
  std::atomic<State> state_{State::kRunning};
};

}  // namespace xcorr
