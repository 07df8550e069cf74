// argMax and argMin: where along an axis the largest or smallest number is. NaN beats all others, and the first of them wins.
#include <cmath>

#include "functionStep.h"
#include "shape.h"

namespace xcorr {
namespace {

struct Greater {
  static bool Beats(float a, float b) { return a > b; }
};
struct Less {
  static bool Beats(float a, float b) { return a < b; }
};

// A is to be taken instead of b.
template <typename Order>
bool Better(float a, float b) {
  return Order::Beats(a, b) || (a != a && b == b);
}

// In a run: first which number it is, in 8 lanes; then where.
template <typename Order>
int64_t InRun(const float* in, int64_t count, bool last) {
  float best[8];
  std::fill(best, best + 8, in[0]);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int k = 0; k < 8; ++k) best[k] = Better<Order>(in[i + k], best[k]) ? in[i + k] : best[k];
  }
  float record = best[0];
  for (float x : best) record = Better<Order>(x, record) ? x : record;
  for (; i < count; ++i) record = Better<Order>(in[i], record) ? in[i] : record;
  if (record != record) return std::find_if(in, in + count, [](float x) { return x != x; }) - in;
  if (!last) return std::find(in, in + count, record) - in;
  int64_t at = count - 1;
  while (in[at] != record) --at;
  return at;
}

// Of `count` neighbours each, row by row.
template <typename Order, bool kLast>
void InRows(const float* in, int64_t rows, int64_t step, int64_t count, float* best, int32_t* places) {
  std::copy(in, in + count, best);
  std::fill(places, places + count, 0);
  for (int64_t row = 1; row < rows; ++row) {
    const float* x = in + row * step;
    for (int64_t i = 0; i < count; ++i) {
      const bool take = Better<Order>(x[i], best[i]) || (kLast && x[i] == best[i]);
      best[i] = take ? x[i] : best[i];
      places[i] = take ? static_cast<int32_t>(row) : places[i];
    }
  }
}

template <typename Order>
std::unique_ptr<Step> MakeArg(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const bool last = p.attributes.Flag("selectLast");
  const AroundAxis around(p.inputs[0].shape, static_cast<size_t>(p.attributes.Int("axis", 0)));
  const int64_t outer = around.outer, length = around.length, inner = around.inner;
  constexpr int64_t kPiece = 256;
  const int64_t pieces = (inner + kPiece - 1) / kPiece, units = outer * pieces;
  const int64_t perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, length * std::min(kPiece, inner)));
  return MakeFunction(inner == 1 ? "runs" : "rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run((units + perTask - 1) / perTask, [&](int64_t task, int) {
      for (int64_t unit = task * perTask; unit < std::min(units, (task + 1) * perTask); ++unit) {
        const int64_t block = unit / pieces, first = unit % pieces * kPiece, count = std::min(kPiece, inner - first);
        const float* in = In(inputs, 0) + block * length * inner + first;
        int64_t* out = static_cast<int64_t*>(outputs[0]) + block * inner + first;
        if (inner == 1) {
          *out = InRun<Order>(in, length, last);
          continue;
        }
        float best[kPiece];
        int32_t places[kPiece];
        if (last) InRows<Order, true>(in, length, inner, count, best, places);
        else InRows<Order, false>(in, length, inner, count, best, places);
        std::copy(places, places + count, out);
      }
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_argMax(const Problem& p) { return MakeArg<Greater>(p); }
std::unique_ptr<Step> Make_argMin(const Problem& p) { return MakeArg<Less>(p); }

}  // namespace xcorr
