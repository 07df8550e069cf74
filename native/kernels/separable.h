// One axis after the other: resizes, and pools whose windows the sizes of images give. Every place of the output is a weighted sum of places of the input, or
// the largest of them; along the columns of a row first, then of rows that have been brought to the output's width.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

template <bool kMaximum, typename V>
[[gnu::always_inline]] inline V First(V x, float weight) {
  return kMaximum ? x : Mul(x, Set<V>(weight));
}
template <bool kMaximum, typename V>
[[gnu::always_inline]] inline V Take(V sum, V x, float weight) {
  return kMaximum ? MaxOrNaN(sum, x) : MulAdd(x, Set<V>(weight), sum);
}

// Pixels of 8 numbers. kTaps: of every pixel, 1, 2 or 4; 0: as many as args.begin says.
template <int kTaps, bool kMaximum>
void BlockColumns(const SeparableColumnsArgs& args) {
  float* out = args.out;
  for (int64_t x = 0; x < args.pixels; ++x, out += 8) {
    const int64_t begin = kTaps > 0 ? x * kTaps : args.begin[x], count = kTaps > 0 ? kTaps : args.begin[x + 1] - begin;
    const int64_t* const places = args.places + begin;
    const float* const weights = args.weights + begin;
    const auto at = [&](int64_t t) { return Load<Vec8>(args.in + places[t] * 8); };
    Vec8 sum = kTaps == 1 ? at(0) : First<kMaximum>(at(0), weights[0]);
#pragma GCC unroll 4
    for (int64_t t = 1; t < count; ++t) sum = Take<kMaximum>(sum, at(t), weights[t]);
    Store(sum, out);
  }
}

// Pixels of one number.
template <int kTaps, bool kMaximum>
void PlainColumns(const SeparableColumnsArgs& args) {
  for (int64_t x = 0; x < args.pixels; ++x) {
    const int64_t begin = kTaps > 0 ? x * kTaps : args.begin[x], count = kTaps > 0 ? kTaps : args.begin[x + 1] - begin;
    const int64_t* const places = args.places + begin;
    const float* const weights = args.weights + begin;
    float sum = args.in[places[0]];
    if (kTaps != 1 && !kMaximum) sum *= weights[0];
#pragma GCC unroll 4
    for (int64_t t = 1; t < count; ++t) {
      const float next = args.in[places[t]];
      if (kMaximum) sum = sum > next || sum != sum ? sum : next;
      else sum += next * weights[t];
    }
    args.out[x] = sum;
  }
}

// The same 8 at a time.
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
  args.unit == 8 ? BlockColumns<kTaps, kMaximum>(args) : PlainColumns<kTaps, kMaximum>(args);
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
  const auto sum = [&](auto of, int64_t i) {
    using V = decltype(of);
    V sum = First<kMaximum>(Load<V>(args.rows[0] + i), args.weights[0]);
#pragma GCC unroll 4
    for (int64_t t = 1; t < count; ++t) sum = Take<kMaximum>(sum, Load<V>(args.rows[t] + i), args.weights[t]);
    return sum;
  };
  int64_t i = 0;
  for (; i + kLanes <= args.floats; i += kLanes) Store(sum(Vec(), i), args.out + i);
  for (; i < args.floats; ++i) {
    float last = kMaximum ? args.rows[0][i] : args.rows[0][i] * args.weights[0];
    for (int64_t t = 1; t < count; ++t) {
      const float next = args.rows[t][i];
      if (kMaximum) last = last > next || last != last ? last : next;
      else last += next * args.weights[t];
    }
    args.out[i] = last;
  }
}

void SeparableRows(const SeparableRowsArgs& args) {
  if (args.maximum) return RowsOf<0, true>(args);
  if (args.taps == 2) return RowsOf<2>(args);
  if (args.taps == 4) return RowsOf<4>(args);
  RowsOf<0>(args);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
