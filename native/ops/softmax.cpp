// softmax and logSoftmax along one axis of plain tensors (kernels/softmax.h).
#include <cmath>

#include "functionStep.h"
#include "shape.h"

namespace xcorr {
namespace {

// Floats of a task's working set: they stay in the first cache from one pass over them to the next.
constexpr int64_t kNear = 4096;
// Columns at a time.
constexpr int64_t kColumns = kNear / 16;
// Runs of fewer numbers go by many at a time.
constexpr int64_t kShort = 32;

// x - top - log sum, of what the kernels give.
void Logarithms(const float* in, float* out, int64_t count, int64_t step, float top, float sum) {
  const double below = static_cast<double>(top) + std::log(static_cast<double>(sum));
  for (int64_t i = 0; i < count; ++i) out[i * step] = static_cast<float>(static_cast<double>(in[i * step]) - below);
}

// Neighbouring runs of `length` numbers, kShort or more; at most kNear numbers or one run.
void AlongRuns(const KernelTable& table, bool logarithm, const float* in, float* out, int64_t runs, int64_t length) {
  float tops[kNear / kShort], sums[kNear / kShort];
  table.SoftmaxRuns({in, out, runs, length, logarithm ? tops : nullptr, logarithm ? sums : nullptr});
  for (int64_t r = 0; logarithm && r < runs; ++r) Logarithms(in + r * length, out + r * length, length, 1, tops[r], sums[r]);
}

// `count` neighbours, at most kColumns, each with `length` numbers that lie `step` apart.
void AlongColumns(const KernelTable& table, bool logarithm, const float* in, float* out, int64_t count, int64_t length, int64_t step) {
  float tops[kColumns], sums[kColumns];
  table.SoftmaxColumns({in, out, count, length, step, logarithm ? tops : nullptr, logarithm ? sums : nullptr});
  for (int64_t i = 0; logarithm && i < count; ++i) Logarithms(in + i, out + i, length, step, tops[i], sums[i]);
}

// As AlongRuns, of runs so short that vectors along them would be mostly empty: `count` of them side by side, as columns.
void AlongShortRuns(const KernelTable& table, bool logarithm, const float* in, float* out, int64_t runs, int64_t length) {
  float columns[kNear], made[kNear];
  for (int64_t first = 0; first < runs; first += kColumns) {
    const int64_t count = std::min(kColumns, runs - first), at = first * length;
    for (int64_t k = 0; k < length; ++k) {
      for (int64_t i = 0; i < count; ++i) columns[k * count + i] = in[at + i * length + k];
    }
    AlongColumns(table, logarithm, columns, made, count, length, count);
    for (int64_t k = 0; k < length; ++k) {
      for (int64_t i = 0; i < count; ++i) out[at + i * length + k] = made[k * count + i];
    }
  }
}

std::unique_ptr<Step> MakeSoftmax(const Problem& p, bool logarithm) {
  RequireFloat32(p);
  RequirePlain(p);
  const AroundAxis around(p.inputs[0].shape, static_cast<size_t>(p.attributes.Int("axis", 0)));
  const int64_t outer = around.outer, length = around.length, inner = around.inner;
  if (outer * inner * length == 0) return MakeFunction("nothing", [](Team&, const void* const*, void* const*, void*) {});
  const KernelTable* table = p.kernels;
  if (inner == 1) {
    const int64_t perTask = std::max<int64_t>(1, kNear / length);
    return MakeFunction("runs", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
      team.Run((outer + perTask - 1) / perTask, [&](int64_t task, int) {
        const int64_t first = task * perTask * length;
        const auto along = length < kShort ? AlongShortRuns : AlongRuns;
        along(*table, logarithm, In(inputs, 0) + first, Out(outputs) + first, std::min(perTask, outer - task * perTask), length);
      });
    });
  }
  const int64_t width = std::max<int64_t>(16, std::min(kColumns, kNear / length / 16 * 16)), pieces = (inner + width - 1) / width;
  return MakeFunction("columns", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(outer * pieces, [&](int64_t task, int) {
      const int64_t begin = task % pieces * width, at = task / pieces * length * inner + begin;
      AlongColumns(*table, logarithm, In(inputs, 0) + at, Out(outputs) + at, std::min(width, inner - begin), length, inner);
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_softmax(const Problem& p) { return MakeSoftmax(p, false); }
std::unique_ptr<Step> Make_logSoftmax(const Problem& p) { return MakeSoftmax(p, true); }

}  // namespace xcorr
