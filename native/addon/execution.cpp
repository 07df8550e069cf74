#include "execution.h"

#include <algorithm>

#include "../runtime/cpu.h"
#include "../runtime/threadTeam.h"

namespace xcorr {

size_t PlainBytes(const Program& program, size_t value) {
  const TensorDesc& type = program.type(value);
  return static_cast<size_t>(type.Elements()) * SizeOf(type.dtype);
}

size_t GivenBytes(const Program& program, size_t value) { return PlainBytes(program, value) * static_cast<size_t>(program.images()); }

ArenaState::ArenaState(std::shared_ptr<Program> p, int threads)
    : program(std::move(p)), arena(program->NewArena()), results(program->results().size()), inputs(program->inputs().size()) {
  for (int64_t t = 1; t < std::min<int64_t>(threads, program->images()); ++t) others.push_back(program->NewArena());
}

namespace {

using Clock = std::chrono::steady_clock;

// The team of a run that calls before its end: looks at the clock whenever the thread that runs has done a task.
class CallingTeam : public Team {
 public:
  CallingTeam(Team& team, ArenaState& state, const NearEnd& nearEnd) : team_(team), state_(state), nearEnd_(nearEnd), began_(state.program->stepCount()) {
    state.left.resize(began_.size());
  }
  int size() const override { return team_.size(); }
  void Run(int64_t count, TaskRef task) override {
    team_.Run(count, [&](int64_t i, int thread) {
      task(i, thread);
      if (thread == 0) Look();
    });
  }
  void Begin(size_t step) {
    began_[step] = Clock::now();
    const Duration left = state_.left[step];
    at_ = left > Duration::zero() ? began_[step] + left - nearEnd_.lead : Clock::time_point::max();
    Look();
  }
  void End(const StepRange& range) {
    const Clock::time_point now = Clock::now();
    for (size_t s = range.first; s < range.last; ++s) {
      Duration& left = state_.left[s];
      left = left > Duration::zero() ? (left + (now - began_[s])) / 2 : now - began_[s];
    }
  }

 private:
  void Look() {
    if (called_ || Clock::now() < at_) return;
    called_ = true;
    if (TeamLease::Busy() < DefaultThreads()) nearEnd_.call();
  }

  Team& team_;
  ArenaState& state_;
  const NearEnd& nearEnd_;
  std::vector<Clock::time_point> began_;
  Clock::time_point at_;
  bool called_ = false;
};

// milliseconds: per step, which its time is added to; or null.
bool RunSteps(ArenaState& state, Team& team, Arena& arena, const StepRange& range, const std::vector<void*>& into, double* milliseconds, CallingTeam* calling = nullptr) {
  const Program& program = *state.program;
  // All steps in one go write their results in place; where they are timed, into the arena: the memory of results is in no cache, a network's is.
  const bool whole = !milliseconds && range.first == 0 && range.last == program.stepCount();
  std::vector<size_t> copied;
  for (size_t k = 0; k < into.size(); ++k) {
    if (into[k] && !(whole && program.Lend(arena, program.results()[k], into[k]))) copied.push_back(k);
  }
  bool ended = true;
  for (size_t s = range.first; s < range.last; ++s) {
    ended = !state.cancelled.load(std::memory_order_relaxed);
    if (!ended) break;
    if (calling) calling->Begin(s);
    const auto began = milliseconds ? Clock::now() : Clock::time_point();
    program.RunStep(team, arena, s);
    if (milliseconds) milliseconds[s] += std::chrono::duration<double, std::milli>(Clock::now() - began).count();
  }
  for (size_t k : copied) {
    if (ended) program.Read(team, arena, program.results()[k], into[k]);
  }
  program.Recall(arena);
  return ended;
}

// Image i of a batch, through all steps.
void RunImage(ArenaState& state, Team& team, Arena& arena, int64_t i, const std::vector<void*>& into, double* milliseconds) {
  const Program& program = *state.program;
  const auto imageOf = [&](void* images, size_t value) { return static_cast<uint8_t*>(images) + static_cast<size_t>(i) * PlainBytes(program, value); };
  for (size_t k = 0; k < state.inputs.size(); ++k) {
    const size_t value = program.inputs()[k];
    void* image = imageOf(state.inputs[k], value);
    if (!program.Lend(arena, value, image)) program.Write(team, arena, value, image);
  }
  std::vector<void*> results;
  for (size_t k = 0; k < into.size(); ++k) results.push_back(imageOf(into[k], program.results()[k]));
  RunSteps(state, team, arena, {0, program.stepCount()}, results, milliseconds);
}

// Side by side, each on a thread of its own, as long as there is one for three threads of four: all threads on one image wait for one another. The others, and all
// where steps are timed, one after another.
bool RunBatch(ArenaState& state, Team& team, const std::vector<void*>& into, double* milliseconds) {
  const int64_t images = state.program->images(), size = team.size(), left = images % size;
  const int64_t beside = milliseconds || size == 1 ? 0 : 4 * left >= 3 * size ? images : images - left;
  team.Run(beside, [&](int64_t i, int thread) {
    SerialTeam alone;
    RunImage(state, alone, thread == 0 ? state.arena : state.others[static_cast<size_t>(thread - 1)], i, into, nullptr);
  });
  for (int64_t i = beside; i < images; ++i) RunImage(state, team, state.arena, i, into, milliseconds);
  return !state.cancelled.load(std::memory_order_relaxed);
}

}  // namespace

Ran Execute(ArenaState& state, const StepRange& range, int threads, Pace& pace, bool timed, const std::vector<void*>& into, const NearEnd* nearEnd) {
  const auto before = Clock::now();
  TeamLease lease(pace.alone.under() ? 1 : threads);
  if (timed) state.milliseconds.resize(state.program->stepCount());
  double* const milliseconds = timed ? state.milliseconds.data() : nullptr;
  bool ended;
  if (state.program->images() > 1) {
    ended = RunBatch(state, lease.team(), into, milliseconds);
  } else if (nearEnd && lease.team().size() < DefaultThreads()) {
    CallingTeam calling(lease.team(), state, *nearEnd);
    ended = RunSteps(state, calling, state.arena, range, into, milliseconds, &calling);
    if (ended) calling.End(range);
  } else {
    // With threads for all CPUs none is to spare, whatever others do.
    ended = RunSteps(state, lease.team(), state.arena, range, into, milliseconds);
  }
  const auto took = Clock::now() - before;
  if (ended && !into.empty()) {
    pace.alone.Took(took);
    pace.atOnce.Took(took);
  }
  return {ended, took};
}

}  // namespace xcorr
