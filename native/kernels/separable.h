// One axis after the other: resizes, and pools whose windows the sizes of images give. Every place of the output is a weighted sum of places of the input, or
// the largest of them; along the columns of a row first, then of rows that have been brought to the output's width.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// A number is a vector of one lane.
inline float Mul(float a, float b) { return a * b; }
inline float MulAdd(float a, float b, float c) { return a * b + c; }
inline float MaxOrNaN(float a, float b) { return a > b || a != a ? a : b; }
inline void Store(float a, float* p) { *p = a; }
template <>
inline float Load<float>(const float* p) { return *p; }
template <>
inline float Set<float>(float x) { return x; }

// The sum of `count` numbers, or vectors of them, at(t) times weights[t]; or their maximum.
template <bool kMaximum, typename At>
[[gnu::always_inline]] inline auto Combined(int64_t count, const float* weights, const At& at) {
  using V = decltype(at(0));
  V sum = kMaximum ? at(0) : Mul(at(0), Set<V>(weights[0]));
#pragma GCC unroll 4
  for (int64_t t = 1; t < count; ++t) sum = kMaximum ? MaxOrNaN(sum, at(t)) : MulAdd(at(t), Set<V>(weights[t]), sum);
  return sum;
}

// V: a pixel's numbers. kTaps: of every pixel, 1, 2 or 4; 0: as many as args.begin says. One has no weight.
template <typename V, int kTaps, bool kMaximum>
void Columns(const SeparableColumnsArgs& args) {
  constexpr int64_t kUnit = sizeof(V) / sizeof(float);
  for (int64_t x = 0; x < args.pixels; ++x) {
    const int64_t begin = kTaps > 0 ? x * kTaps : args.begin[x], count = kTaps > 0 ? kTaps : args.begin[x + 1] - begin;
    const int64_t* const places = args.places + begin;
    Store(Combined<kMaximum || kTaps == 1>(count, args.weights + begin, [&](int64_t t) { return Load<V>(args.in + places[t] * kUnit); }), args.out + x * kUnit);
  }
}

// Pixels of one number, 8 at a time.
template <int kTaps>
void PlainGroups(const SeparableColumnsArgs& args) {
  const int32_t* lanes = args.lanes;
  const float* weights = args.laneWeights;
  for (int64_t group = 0, x = 0; x < args.pixels; ++group, x += 8) {
    const Vec8 in = Load<Vec8>(args.in + args.firsts[group]);
    const auto at = [&](int t) { return Permute(in, lanes + t * 8); };
    Vec8 sum = kTaps == 1 ? at(0) : Mul(at(0), Load<Vec8>(weights));
#pragma GCC unroll 4
    for (int t = 1; t < kTaps; ++t) sum = MulAdd(at(t), Load<Vec8>(weights + t * 8), sum);
    lanes += kTaps * 8;
    weights += kTaps * 8;
    Store(sum, args.out + (x + 8 <= args.pixels ? x : args.pixels - 8));
  }
}

template <int kTaps, bool kMaximum = false>
void ColumnsOf(const SeparableColumnsArgs& args) {
  if constexpr (kTaps > 0) {
    if (args.firsts) return PlainGroups<kTaps>(args);
  }
  args.unit == 8 ? Columns<Vec8, kTaps, kMaximum>(args) : Columns<float, kTaps, kMaximum>(args);
}

void SeparableColumns(const SeparableColumnsArgs& args) {
  if (args.taps == 1) return ColumnsOf<1>(args);
  if (args.maximum) return ColumnsOf<0, true>(args);
  if (args.taps == 2) return ColumnsOf<2>(args);
  if (args.taps == 4) return ColumnsOf<4>(args);
  ColumnsOf<0>(args);
}

template <int kTaps, bool kMaximum = false>
void RowsOf(const SeparableRowsArgs& args) {
  const int64_t count = kTaps > 0 ? kTaps : args.taps;
  const auto store = [&](auto of, int64_t i) {
    using V = decltype(of);
    Store(Combined<kMaximum>(count, args.weights, [&](int64_t t) { return Load<V>(args.rows[t] + i); }), args.out + i);
  };
  int64_t i = 0;
  for (; i + kLanes <= args.floats; i += kLanes) store(Vec(), i);
  for (; i < args.floats; ++i) store(0.0f, i);
}

void SeparableRows(const SeparableRowsArgs& args) {
  if (args.maximum) return RowsOf<0, true>(args);
  if (args.taps == 2) return RowsOf<2>(args);
  if (args.taps == 4) return RowsOf<4>(args);
  RowsOf<0>(args);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
