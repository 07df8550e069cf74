// A run of a program's steps on an arena, on whatever thread. Nothing here knows about N-API.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "../network/program.h"
#include "pace.h"

namespace xcorr {

// An arena, and what is known of the run on it.
struct ArenaState {
  // threads: of its runs.
  ArenaState(std::shared_ptr<Program> p, int threads);
  std::shared_ptr<Program> program;
  Arena arena;
  std::vector<Arena> others;  // of images of a batch on the team's other threads
  std::vector<AlignedBuffer> batch;  // copies of inputs that are one
  std::vector<double> milliseconds;  // per step, if it was timed
  std::vector<Duration> left;  // per step of runs with a NearEnd: how long the range took from there on, in the last ones; zero: nobody knows
  std::vector<void*> results, inputs;  // lent to a run of all steps
  std::atomic<bool> cancelled{false};
  std::atomic<bool> busy{false};
};

// Bytes of a value's elements, without the padding of blocks; and of all images that a run is given of it, or gives.
size_t PlainBytes(const Program& program, size_t value);
size_t GivenBytes(const Program& program, size_t value);

struct StepRange {
  size_t first, last;
};
struct Ran {
  bool ended;  // not cancelled
  std::chrono::steady_clock::duration took;
};
// Whom to call, and how long before the end of a run, as far as earlier ones on the arena show. Only while a CPU is to spare.
struct NearEnd {
  Duration lead;
  std::function<void()> call;
};
// The steps, then the results, if they are wanted, to where `into` says; null: not now, which a batch's never are. A batch's images are where state.inputs says.
Ran Execute(ArenaState& state, const StepRange& range, int threads, Pace& pace, bool timed, const std::vector<void*>& into, const NearEnd* nearEnd = nullptr);

}  // namespace xcorr
