// softmax and logSoftmax along one axis of plain tensors. Exponentials go by whole vectors, sums are in double.
#include <cmath>

#include "functionStep.h"
#include "shape.h"
#include "sums.h"

namespace xcorr {
namespace {

// Floats of a task's working set: they stay in the first cache from one pass over them to the next.
constexpr int64_t kNear = 4096;
// Rows of so many numbers go by at a time.
constexpr int64_t kRows = kNear / 16;
// Runs of fewer numbers go by many at a time.
constexpr int64_t kShort = 8;

float TopOf(const float* in, int64_t count) {
  float lanes[8];
  std::fill(lanes, lanes + 8, in[0]);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int k = 0; k < 8; ++k) lanes[k] = in[i + k] > lanes[k] ? in[i + k] : lanes[k];
  }
  for (; i < count; ++i) lanes[0] = in[i] > lanes[0] ? in[i] : lanes[0];
  return *std::max_element(lanes, lanes + 8);
}

// Neighbouring runs of `length` numbers, at most kNear numbers or one run. A NaN need not be the top: it makes the sum, and so all results, NaN.
void AlongRuns(const KernelTable& table, bool logarithm, const float* in, float* out, int64_t runs, int64_t length) {
  float tops[kNear];
  for (int64_t r = 0; r < runs; ++r) {
    tops[r] = TopOf(in + r * length, length);
    for (int64_t i = 0; i < length; ++i) out[r * length + i] = in[r * length + i] - tops[r];
  }
  table.UnaryRun({out, out, runs * length, UnaryKind::kExp, {}});
  for (int64_t r = 0; r < runs; ++r) {
    const float* x = in + r * length;
    float* y = out + r * length;
    const double sum = SumOf(length, [&](int64_t i) { return static_cast<double>(y[i]); });
    if (logarithm) {
      const double logSum = std::log(sum), top = static_cast<double>(tops[r]);
      for (int64_t i = 0; i < length; ++i) y[i] = static_cast<float>(static_cast<double>(x[i]) - top - logSum);
    } else {
      const double factor = 1 / sum;
      for (int64_t i = 0; i < length; ++i) y[i] = static_cast<float>(static_cast<double>(y[i]) * factor);
    }
  }
}

// `count` neighbours, at most kRows, each with `length` numbers that lie `step` apart: row by row.
void AlongRows(const KernelTable& table, bool logarithm, const float* in, float* out, int64_t count, int64_t length, int64_t step) {
  float tops[kRows];
  double sums[kRows] = {};
  std::copy(in, in + count, tops);
  for (int64_t row = 1; row < length; ++row) {
    const float* x = in + row * step;
    for (int64_t i = 0; i < count; ++i) tops[i] = x[i] > tops[i] ? x[i] : tops[i];
  }
  for (int64_t row = 0; row < length; ++row) {
    const float* x = in + row * step;
    float* y = out + row * step;
    for (int64_t i = 0; i < count; ++i) y[i] = x[i] - tops[i];
    table.UnaryRun({y, y, count, UnaryKind::kExp, {}});
    for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(y[i]);
  }
  for (int64_t i = 0; i < count; ++i) sums[i] = logarithm ? tops[i] + std::log(sums[i]) : 1 / sums[i];
  for (int64_t row = 0; row < length; ++row) {
    const float* x = in + row * step;
    float* y = out + row * step;
    if (logarithm) {
      for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(static_cast<double>(x[i]) - sums[i]);
    } else {
      for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(static_cast<double>(y[i]) * sums[i]);
    }
  }
}

// As AlongRuns, of runs so short that vectors along them would be mostly empty: `count` of them side by side, as rows.
void AlongShortRuns(const KernelTable& table, bool logarithm, const float* in, float* out, int64_t runs, int64_t length) {
  float rows[kNear], made[kNear];
  for (int64_t first = 0; first < runs; first += kRows) {
    const int64_t count = std::min(kRows, runs - first), at = first * length;
    for (int64_t k = 0; k < length; ++k) {
      for (int64_t i = 0; i < count; ++i) rows[k * count + i] = in[at + i * length + k];
    }
    AlongRows(table, logarithm, rows, made, count, length, count);
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
  const int64_t width = std::max<int64_t>(16, std::min(kRows, kNear / length / 16 * 16)), pieces = (inner + width - 1) / width;
  return MakeFunction("rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(outer * pieces, [&](int64_t task, int) {
      const int64_t begin = task % pieces * width, at = task / pieces * length * inner + begin;
      AlongRows(*table, logarithm, In(inputs, 0) + at, Out(outputs) + at, std::min(width, inner - begin), length, inner);
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_softmax(const Problem& p) { return MakeSoftmax(p, false); }
std::unique_ptr<Step> Make_logSoftmax(const Problem& p) { return MakeSoftmax(p, true); }

}  // namespace xcorr
