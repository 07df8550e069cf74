// Softmax of runs of neighbouring numbers, lanes along a run, and of columns, lanes side by side: e^(x - top) / sum.
//
// A NaN need not be the top: it makes the sum, and so all results, NaN. Sums of some numbers are in float, and so are those of these sums.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

constexpr int64_t kSummedVecs = 32;

// f of all lanes, two and two.
template <typename F>
inline float OfLanes(Vec v, const F& f) {
  float lanes[kLanes];
  Store(v, lanes);
#pragma GCC unroll 4
  for (int half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int l = 0; l < half; ++l) lanes[l] = f(lanes[l], lanes[l + half]);
  }
  return lanes[0];
}

void SoftmaxRuns(const SoftmaxRunsArgs& args) {
  const int64_t length = args.length, whole = length / kLanes * kLanes, left = length - whole;
  const Vec lowest = Set<Vec>(-__builtin_inff());
  for (int64_t r = 0; r < args.runs; ++r) {
    const float* x = args.in + r * length;
    float* y = args.out + r * length;
    Vec tops = lowest;
    for (int64_t i = 0; i < whole; i += kLanes) tops = Max(Load<Vec>(x + i), tops);
    if (left > 0) tops = Max(LoadFirst(x + whole, left, lowest), tops);
    const float highest = OfLanes(tops, [](float a, float b) { return a > b ? a : b; });
    const Vec top = Set<Vec>(highest);
    Vec sums = Set<Vec>(0.0f);
    for (int64_t i = 0; i < whole;) {
      const int64_t end = whole - i < kSummedVecs * kLanes ? whole : i + kSummedVecs * kLanes;
      Vec some = Set<Vec>(0.0f);
      for (; i < end; i += kLanes) {
        const Vec e = Exp(Sub(Load<Vec>(x + i), top));
        Store(e, y + i);
        some = Add(some, e);
      }
      sums = Add(sums, some);
    }
    if (left > 0) {
      const Vec e = Exp(Sub(LoadFirst(x + whole, left, lowest), top));
      StoreFirst(e, y + whole, left);
      sums = Add(sums, LoadFirst(y + whole, left, Set<Vec>(0.0f)));
    }
    const float sum = OfLanes(sums, [](float a, float b) { return a + b; });
    if (args.sums) {
      args.tops[r] = highest;
      args.sums[r] = sum;
      continue;
    }
    const Vec factor = Set<Vec>(1 / sum);
    for (int64_t i = 0; i < whole; i += kLanes) Store(Mul(Load<Vec>(y + i), factor), y + i);
    if (left > 0) StoreFirst(Mul(LoadFirst(y + whole, left, factor), factor), y + whole, left);
  }
}

// One vector of columns, or the first `count` of it.
template <bool kWhole>
inline void SoftmaxVec(const SoftmaxColumnsArgs& args, int64_t column, int64_t count) {
  const auto load = [count](const float* p) { return kWhole ? Load<Vec>(p) : LoadFirst(p, count, Set<Vec>(0.0f)); };
  const auto store = [count](Vec v, float* p) { kWhole ? Store(v, p) : StoreFirst(v, p, count); };
  const float* in = args.in + column;
  float* out = args.out + column;
  Vec top = load(in);
  for (int64_t row = 1; row < args.length; ++row) top = Max(load(in + row * args.step), top);
  Vec sum = Set<Vec>(0.0f);
  for (int64_t row = 0; row < args.length;) {
    const int64_t end = args.length - row < kSummedVecs ? args.length : row + kSummedVecs;
    Vec some = Set<Vec>(0.0f);
    for (; row < end; ++row) {
      const Vec e = Exp(Sub(load(in + row * args.step), top));
      store(e, out + row * args.step);
      some = Add(some, e);
    }
    sum = Add(sum, some);
  }
  if (args.sums) {
    store(top, args.tops + column);
    store(sum, args.sums + column);
    return;
  }
  const Vec factor = Div(Set<Vec>(1.0f), sum);
  for (int64_t row = 0; row < args.length; ++row) store(Mul(load(out + row * args.step), factor), out + row * args.step);
}

void SoftmaxColumns(const SoftmaxColumnsArgs& args) {
  int64_t column = 0;
  for (; column + kLanes <= args.columns; column += kLanes) SoftmaxVec<true>(args, column, kLanes);
  if (column < args.columns) SoftmaxVec<false>(args, column, args.columns - column);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
