// Where runs put their results, and how these become ArrayBuffers.
#pragma once
#include <napi.h>

#include <vector>

#include "execution.h"

namespace xcorr {

// Results from this size on lie in kept memory outside V8's, filled by the run itself; smaller ones are copied when it is over.
constexpr size_t kLargeResult = 32 << 10;

// Where an asynchronous run at once puts its results.
struct Results {
  Results(Napi::Env env, const Program& program, bool wanted);
  Napi::Array list;  // of ArrayBuffers
  std::vector<void*> into;
};

// Likewise of a run on another thread, which cannot make ArrayBuffers: nothing yet for small ones.
struct LargeResults {
  LargeResults(const Program& program, bool wanted);
  std::vector<AlignedBuffer> memory;
  std::vector<void*> into;
};

// Back on the JavaScript thread: an ArrayBuffer per result.
Napi::Value Finish(Napi::Env env, const ArenaState& state, LargeResults* large);

}  // namespace xcorr
