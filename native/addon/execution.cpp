#include "execution.h"

#include <optional>

#include "../runtime/cpu.h"
#include "../runtime/threadTeam.h"

namespace xcorr {

size_t PlainBytes(const Program& program, size_t value) {
  const TensorDesc& type = program.type(value);
  return static_cast<size_t>(type.Elements()) * SizeOf(type.dtype);
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

}  // namespace

Ran Execute(ArenaState& state, const StepRange& range, int threads, Pace& pace, bool timed, const std::vector<void*>& into, const NearEnd* nearEnd) {
  const Program& program = *state.program;
  const auto before = Clock::now();
  TeamLease lease(pace.alone.under() ? 1 : threads);
  if (timed) state.milliseconds.resize(program.stepCount());
  // All steps in one go write their results in place; where they are timed, into the arena: the memory of results is in no cache, a network's is.
  const bool whole = !timed && range.first == 0 && range.last == program.stepCount();
  std::vector<size_t> copied;
  for (size_t k = 0; k < into.size(); ++k) {
    if (into[k] && !(whole && program.Lend(state.arena, program.results()[k], into[k]))) copied.push_back(k);
  }
  std::optional<CallingTeam> calling;
  // With threads for all CPUs none is to spare, whatever others do.
  if (nearEnd && lease.team().size() < DefaultThreads()) calling.emplace(lease.team(), state, *nearEnd);
  Team& team = calling ? *calling : lease.team();
  bool ended = true;
  for (size_t s = range.first; s < range.last; ++s) {
    ended = !state.cancelled.load(std::memory_order_relaxed);
    if (!ended) break;
    if (calling) calling->Begin(s);
    const auto began = timed ? Clock::now() : before;
    program.RunStep(team, state.arena, s);
    if (timed) state.milliseconds[s] = std::chrono::duration<double, std::milli>(Clock::now() - began).count();
  }
  for (size_t k : copied) {
    if (ended) program.Read(team, state.arena, program.results()[k], into[k]);
  }
  if (calling && ended) calling->End(range);
  program.Recall(state.arena);
  const auto took = Clock::now() - before;
  if (ended && !into.empty()) {
    pace.alone.Took(took);
    pace.atOnce.Took(took);
  }
  return {ended, took};
}

}  // namespace xcorr
