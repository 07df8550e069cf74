#include "execution.h"

#include "../runtime/threadTeam.h"

namespace xcorr {

size_t PlainBytes(const Program& program, size_t value) {
  const TensorDesc& type = program.type(value);
  return static_cast<size_t>(type.Elements()) * SizeOf(type.dtype);
}

Ran Execute(ArenaState& state, const StepRange& range, int threads, Pace& pace, bool timed, const std::vector<void*>& into) {
  const Program& program = *state.program;
  const auto before = std::chrono::steady_clock::now();
  TeamLease lease(pace.alone.under() ? 1 : threads);
  if (timed) state.milliseconds.resize(program.stepCount());
  // All steps in one go write their results in place; where they are timed, into the arena: the memory of results is in no cache, a network's is.
  const bool whole = !timed && range.first == 0 && range.last == program.stepCount();
  std::vector<size_t> copied;
  for (size_t k = 0; k < into.size(); ++k) {
    if (into[k] && !(whole && program.Lend(state.arena, program.results()[k], into[k]))) copied.push_back(k);
  }
  const bool ended = program.Run(lease.team(), state.arena, range.first, range.last, &state.cancelled, timed ? state.milliseconds.data() : nullptr);
  for (size_t k : copied) {
    if (ended) program.Read(lease.team(), state.arena, program.results()[k], into[k]);
  }
  program.Recall(state.arena);
  const auto took = std::chrono::steady_clock::now() - before;
  if (ended && !into.empty()) {
    pace.alone.Took(took);
    pace.atOnce.Took(took);
  }
  return {ended, took};
}

}  // namespace xcorr
