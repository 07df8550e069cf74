#include "measureStep.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

#include "../runtime/cpu.h"

namespace xcorr {
namespace {

// Reads twice as much as the second cache holds, so that nothing else stays in it.
void ClearSecondCache() {
  static thread_local AlignedBuffer other(2 * SecondCacheBytes());
  volatile uint8_t* data = other.data();
  for (size_t at = 0; at < other.bytes(); at += 64) data[at] = static_cast<uint8_t>(data[at] + 1);
}

AlignedBuffer Zeros(size_t bytes) {
  AlignedBuffer buffer(bytes);
  std::memset(buffer.data(), 0, bytes);
  return buffer;
}

}  // namespace

double MeasureStep(const Problem& problem, const Step& step) {
  constexpr int kRuns = 5;
  std::vector<AlignedBuffer> buffers;
  buffers.reserve(problem.inputs.size() + problem.outputs.size());
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (problem.constants[i]) {
      buffers.emplace_back(problem.inputs[i].Bytes());
      problem.constants[i].CopyTo(buffers.back().data());
      inputs.push_back(buffers.back().data());
      continue;
    }
    buffers.push_back(Zeros(problem.inputs[i].Bytes()));
    inputs.push_back(buffers.back().data());
  }
  for (const TensorDesc& output : problem.outputs) {
    buffers.push_back(Zeros(output.Bytes()));
    outputs.push_back(buffers.back().data());
  }
  const AlignedBuffer scratch = Zeros(step.scratchBytes());
  SerialTeam alone;
  double least = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    ClearSecondCache();
    const auto before = std::chrono::steady_clock::now();
    step.Run(alone, inputs.data(), outputs.data(), scratch.data());
    least = std::min(least, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
  }
  return least;
}

}  // namespace xcorr
