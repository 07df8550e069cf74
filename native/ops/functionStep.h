// A Step that is one function: for ops without packed constants, whose whole plan fits in a lambda's captures.
#pragma once
#include <algorithm>
#include <functional>

#include "op.h"

namespace xcorr {

using RunFn = std::function<void(Team& team, const void* const* inputs, void* const* outputs, void* scratch)>;

class FunctionStep : public Step {
 public:
  FunctionStep(const char* algorithm, RunFn run, size_t scratchBytes = 0) : run_(std::move(run)), scratchBytes_(scratchBytes) {
    info.algorithm = algorithm;
  }
  void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const override {
    run_(team, inputs, outputs, scratch);
  }
  size_t scratchBytes() const override { return scratchBytes_; }

 private:
  RunFn run_;
  size_t scratchBytes_;
};

inline std::unique_ptr<Step> MakeFunction(const char* algorithm, RunFn run, size_t scratchBytes = 0) {
  return std::make_unique<FunctionStep>(algorithm, std::move(run), scratchBytes);
}

// Throws Declined unless all inputs are float32.
inline void RequireFloat32(const Problem& p) {
  for (const TensorDesc& input : p.inputs) {
    if (input.dtype != DType::kFloat32) throw Declined("kernels are float32");
  }
}

inline void RequirePlain(const Problem& p) {
  for (const TensorDesc& input : p.inputs) {
    if (input.layout != Layout::kPlain) throw Declined("a blocked input");
  }
}

inline const float* In(const void* const* inputs, size_t i) { return static_cast<const float*>(inputs[i]); }
inline float* Out(void* const* outputs, size_t i = 0) { return static_cast<float*>(outputs[i]); }

// Elements per task of elementwise work: large enough to be worth handing out, the same for any number of threads.
constexpr int64_t kGrain = 16384;

// Runs body(begin, end) over 0 .. count in pieces whose size is a multiple of 8.
template <typename F>
void InPieces(Team& team, int64_t count, const F& body) {
  team.Run((count + kGrain - 1) / kGrain, [&](int64_t task, int) { body(task * kGrain, std::min(count, (task + 1) * kGrain)); });
}

}  // namespace xcorr
