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
  explicit ArenaState(std::shared_ptr<Program> p) : program(std::move(p)), arena(program->NewArena()), results(program->results().size()), inputs(program->inputs().size()) {}
  std::shared_ptr<Program> program;
  Arena arena;
  std::vector<double> milliseconds;  // per step, if it was timed
  std::vector<Duration> left;  // per step of runs with a NearEnd: how long the range took from there on, in the last ones; zero: nobody knows
  std::vector<void*> results, inputs;  // lent to a run of all steps
  std::atomic<bool> cancelled{false};
  std::atomic<bool> busy{false};
};

// Bytes of a value's elements, without the padding of blocks.
size_t PlainBytes(const Program& program, size_t value);

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
// The steps, then the results, if they are wanted, to where `into` says; null: not now.
Ran Execute(ArenaState& state, const StepRange& range, int threads, Pace& pace, bool timed, const std::vector<void*>& into, const NearEnd* nearEnd = nullptr);

}  // namespace xcorr
