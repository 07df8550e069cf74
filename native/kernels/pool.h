// Pools: the maximum or the sum of each window, over rows first, then over columns, so that k x k numbers take 2 k steps instead of k^2.
//
//   PoolSlide                   small square windows on blocks: columns go by one after another; what their rows give is kept in registers for all
//                               outputs that they belong to, of one or two output rows
//   PoolPlane                   the same on planes: vectors of neighbouring columns, shifted by a lane; small ones by strips (planeStrips.h), columns first
//   PoolRows, then PoolColumns  any windows on blocks: rows into a buffer, in which windows that are `stride` apart find what they want side by side;
//                               from there columns
//
// A maximum that lets NaN through takes three instructions instead of one. So the sum of all that was read is kept as well, by adders that have nothing
// else to do: it is NaN if anything was (or infinities met), and then all is done once more with care.
#pragma once

#include "planeStrips.h"

namespace xcorr::XCORR_ISA {
namespace {

struct Largest {
  static constexpr bool kWatches = true;
  static constexpr bool kLowest = true;  // what does not count is -infinity, and not 0
  template <typename V>
  static V Start() { return Set<V>(-__builtin_inff()); }
  template <typename V>
  static V Step(V a, V b) { return Max(a, b); }
};
struct LargestOrNaN : Largest {
  static constexpr bool kWatches = false;
  template <typename V>
  static V Step(V a, V b) { return MaxOrNaN(a, b); }
};
struct Total {
  static constexpr bool kWatches = false, kLowest = false;
  template <typename V>
  static V Start() { return Set<V>(0.0f); }
  template <typename V>
  static V Step(V a, V b) { return Add(a, b); }
};

template <typename V>
inline float SumOf(V x) {
  constexpr int kFloats = sizeof(V) / sizeof(float);
  float lanes[kFloats], sum = 0;
  Store(x, lanes);
  for (int l = 0; l < kFloats; ++l) sum += lanes[l];
  return sum;
}
inline float SumOf(float x) { return x; }

// run(op) gives the sum of what it read, if op watches.
template <typename F>
inline void ForPoolKind(PoolKind kind, const F& run) {
  if (kind == PoolKind::kSum) run(Total());
  else if (const float sum = SumOf(run(Largest())); sum != sum) run(LargestOrNaN());
}

// One result of `kTerms` vectors, load(0) and so on; kTerms is 0 if their number, at least 1, is only known at run time. Adds them to `seen`.
template <typename Op, int kTerms, typename V, typename F>
inline V ReduceTerms(int terms, V& seen, const F& load) {
  V result = load(0), sum = result;
#pragma GCC unroll 8
  for (int i = 1; i < (kTerms ? kTerms : terms); ++i) {
    const V x = load(i);
    result = Op::Step(result, x);
    if constexpr (Op::kWatches) sum = Add(sum, x);
  }
  if constexpr (Op::kWatches) seen = Add(seen, sum);
  return result;
}

// kWindow x kWindow, on kOut output rows at once. kStride is kWindow for all strides from there on: columns between windows are left out.
template <typename Op, int kWindow, int kStride, int kOut>
Vec8 Slide(const PoolSlideArgs& args) {
  constexpr int kIn = (kOut - 1) * kStride + kWindow, kKept = kWindow - kStride;
  static_assert(kKept >= 0, "every column belongs to a window");
  const float* rows[kIn];
  for (int i = 0; i < kIn; ++i) rows[i] = args.rows[i];
  // One sum for each column that an output adds: a single one would wait for itself.
  Vec8 seen[kStride], columns[kWindow][kOut];
  for (Vec8& s : seen) s = Set<Vec8>(0.0f);
  int64_t column = -args.left;
  const auto take = [&](Vec8& sum, Vec8 (&to)[kOut]) __attribute__((always_inline)) {
    const int64_t at = column++;
    if (at < 0 || at >= args.columns) {
      for (Vec8& c : to) c = Op::template Start<Vec8>();
      return;
    }
    Vec8 x[kIn];
#pragma GCC unroll 8
    for (int i = 0; i < kIn; ++i) x[i] = Load<Vec8>(rows[i] + at * 8);
#pragma GCC unroll 2
    for (int r = 0; r < kOut; ++r) {
      to[r] = x[r * kStride];
#pragma GCC unroll 8
      for (int i = 1; i < kWindow; ++i) to[r] = Op::Step(to[r], x[r * kStride + i]);
    }
    if constexpr (Op::kWatches) {
#pragma GCC unroll 8
      for (int i = 1; i < kIn; ++i) x[0] = Add(x[0], x[i]);
      sum = Add(sum, x[0]);
    }
  };
#pragma GCC unroll 8
  for (int j = 0; j < kKept; ++j) take(seen[0], columns[kStride + j]);
  for (int64_t x = 0; x < args.pixels; ++x, column += args.stride - kStride) {
#pragma GCC unroll 8
    for (int j = 0; j < kWindow; ++j) {
      if (j >= kKept) {
        take(seen[j - kKept], columns[j]);
        continue;
      }
#pragma GCC unroll 2
      for (int r = 0; r < kOut; ++r) columns[j][r] = columns[j + kStride][r];
    }
#pragma GCC unroll 2
    for (int r = 0; r < kOut; ++r) {
      Vec8 y = columns[0][r];
#pragma GCC unroll 8
      for (int j = 1; j < kWindow; ++j) y = Op::Step(y, columns[j][r]);
      if (args.kind == PoolKind::kSum) y = Mul(y, Load<Vec8>(args.factors[r] + x * 8));
      Store(y, args.out + r * args.outRow + x * 8);
    }
  }
  for (int j = 1; j < kStride; ++j) seen[0] = Add(seen[0], seen[j]);
  return seen[0];
}

template <int kWindow, int kStride>
inline void ForSlide(const PoolSlideArgs& args) {
  ForPoolKind(args.kind, [&](auto op) {
    using Op = decltype(op);
    if constexpr (kWindow <= 3 && kStride < 3) {
      if (args.outRows == 2) return Slide<Op, kWindow, kStride, 2>(args);
    }
    return Slide<Op, kWindow, kStride, 1>(args);
  });
}

template <int kWindow>
inline void ForSlideStride(const PoolSlideArgs& args) {
  if (args.stride == 1) ForSlide<kWindow, 1>(args);
  else if (args.stride == 2) ForSlide<kWindow, 2>(args);
  else ForSlide<kWindow, kWindow>(args);
}

void PoolSlide(const PoolSlideArgs& args) {
  switch (args.window) {
    case 2: return ForSlideStride<2>(args);
    case 3: return ForSlideStride<3>(args);
    case 4: return ForSlideStride<4>(args);
    default: return ForSlideStride<5>(args);
  }
}

// Output columns x .. of `planes` planes from the first on. Gives the sum of what was read.
template <typename Op, typename V, int kWindow, int kStride, Edge kEdge>
V PoolStrip(const PoolPlaneArgs& args, int64_t firstPlane, int64_t planes, int64_t x) {
  using Columns = StripColumns<V, kWindow, kStride, kEdge, false, Op::kLowest>;
  constexpr int kWidth = Columns::kWidth, kKept = kWindow - kStride;
  const int64_t first = x * kStride - args.left, pixels = args.pixels, width = args.width, height = args.height, count = args.count;
  const int64_t written = pixels - x < Columns::kOutputs ? pixels - x : Columns::kOutputs;
  const Columns columns(first, width, 1);
  const StripResults results = {args.out, pixels, count, pixels, args.outPlane, args.planes, args.whole};
  const float* const* const factors = args.kind == PoolKind::kSum ? args.factors : nullptr;
  const ptrdiff_t ahead = results.Ahead();
  V seen = Set<V>(0.0f);
  for (int64_t p = firstPlane; p < firstPlane + planes; ++p) {
    int64_t row = args.top;
    const float* in = args.in + p * height * width + row * width + first;
    float* out = args.out + p * args.outPlane + x;
    const float* end = results.End<kWidth>(p, x);
    const auto take = [&]() __attribute__((always_inline)) {
      V of = Op::template Start<V>();
      if (row >= 0 && row < height) {
        V sum = of;
        columns.ForColumns(in, [&](auto column, V x) __attribute__((always_inline)) {
          constexpr bool kFirst = decltype(column)::value == 0;
          of = kFirst ? x : Op::Step(of, x);
          if constexpr (Op::kWatches) sum = kFirst ? x : Add(sum, x);
        });
        if constexpr (Op::kWatches) seen = Add(seen, sum);
      }
      ++row;
      in += width;
      return of;
    };
    V rows[kWindow];
#pragma GCC unroll 4
    for (int i = 0; i < kKept; ++i) rows[i] = take();
    for (int64_t y = 0; y < count; ++y, out += pixels) {
#pragma GCC unroll 4
      for (int i = kKept; i < kWindow; ++i) rows[i] = take();
      V result = rows[0];
#pragma GCC unroll 4
      for (int i = 1; i < kWindow; ++i) result = Op::Step(result, rows[i]);
      result = Columns::Result(result);
      if (factors) result = Mul(result, Load<V>(factors[y] + x));
      StoreStrip(result, out, end, written);
      __builtin_prefetch(out + ahead, 1);
#pragma GCC unroll 4
      for (int i = 0; i < kKept; ++i) rows[i] = rows[i + kStride];
    }
  }
  return seen;
}

// One output row of a plane, row by row: windows of `rows` rows, all kWindow if kWhole, from `in` on, and kWindow columns. A vector of columns lies beside that of
// outputs, moved by a lane to the left or right, or not. With a stride of two there are two: even columns, and odd ones.
template <typename Op, int kWindow, int kStride, int kLeft, bool kWhole>
inline void PlaneRow(const PoolPlaneArgs& args, const float* in, int rows, const float* factors, float* out, const float* end, Vec (&seen)[kStride]) {
  struct Columns {
    Vec phase[kStride];
  };
  const int64_t width = args.width;
  const Vec nothing = Op::template Start<Vec>();
  const auto reduce = [&](int64_t x, Vec& sum) {
    const int64_t left = width - x;
    constexpr int kTerms = kWhole ? kWindow : 0;
    // A vector of 16 lanes is loaded once, instead of for each step that takes it: there are half as many such loads in a cycle.
    const auto load = [&](int i) {
      const Vec v = Load<Vec>(in + i * width + x);
      return kLanes > 8 ? Kept(v) : v;
    };
    if (left >= kLanes && (kWhole || rows > 0)) return ReduceTerms<Op, kTerms>(rows, sum, load);
    if (left <= 0 || rows <= 0) return nothing;
    return ReduceTerms<Op, kTerms>(rows, sum, [&](int i) { return LoadFirst(in + i * width + x, left, nothing); });
  };
  const auto take = [&](int64_t x) {
    Columns c;
    if constexpr (kStride == 1) {
      c.phase[0] = reduce(x, seen[0]);
    } else {
      const Vec a = reduce(x * 2, seen[0]), b = reduce(x * 2 + kLanes, seen[1]);
      Deinterleave(a, b, c.phase[0], c.phase[1]);
    }
    return c;
  };
  Columns before, at = take(0);
  for (Vec& phase : before.phase) phase = nothing;
  for (int64_t x = 0; x < args.pixels; x += kLanes) {
    const Columns after = take(x + kLanes);
    Vec y = nothing;
#pragma GCC unroll 4
    for (int j = 0; j < kWindow; ++j) {
      const int column = j - kLeft + kStride, phase = column % kStride, place = column / kStride - 1;
      const Vec c = place == 0 ? at.phase[phase]
                    : place < 0 ? Shift<kLanes - 1>(before.phase[phase], at.phase[phase])
                                : Shift<1>(at.phase[phase], after.phase[phase]);
      y = j == 0 ? c : Op::Step(y, c);
    }
    if (factors) y = Mul(y, Load<Vec>(factors + x));
    // What is written past the end of a row is written once more by the next.
    if (out + x + kLanes <= end) Store(y, out + x);
    else StoreFirst(y, out + x, args.pixels - x < kLanes ? args.pixels - x : kLanes);
    before = at;
    at = after;
  }
}

template <typename Op, int kWindow, int kStride, int kLeft>
float PlaneRows(const PoolPlaneArgs& args, const float* plane, float* out) {
  Vec seen[kStride];
  for (Vec& s : seen) s = Set<Vec>(0.0f);
  const float* end = out + args.count * args.pixels;
  int64_t top = args.top;
  for (int64_t y = 0; y < args.count; ++y, out += args.pixels, top += kStride) {
    const int64_t first = top < 0 ? -top : 0, last = args.height - top < kWindow ? args.height - top : kWindow;
    const float* in = plane + (top + first) * args.width;
    const float* factors = args.kind == PoolKind::kSum ? args.factors[y] : nullptr;
    if (last - first == kWindow) PlaneRow<Op, kWindow, kStride, kLeft, true>(args, in, kWindow, factors, out, end, seen);
    else PlaneRow<Op, kWindow, kStride, kLeft, false>(args, in, static_cast<int>(last - first), factors, out, end, seen);
  }
  return SumOf(kStride == 1 ? seen[0] : Add(seen[0], seen[kStride - 1]));
}

// Pixels of a plane that goes by strips, and stays in the first cache from one to the next.
constexpr int64_t kSmallPlane = 2048;

// Small planes by strips, whose rows follow one another without what a row begins and ends with: 1.2 to 1.9 times as fast. Larger ones leave the first cache
// from strip to strip; and with a stride of 2 a strip takes more steps across lanes.
template <typename Op, int kWindow, int kStride, int kLeft>
float PoolPlanes(const PoolPlaneArgs& args) {
  float seen = 0;
  const int64_t pixels = args.height * args.width;
  if (args.pixels > kLanes && (kStride > 1 || pixels > kSmallPlane)) {
    for (int64_t p = 0; p < args.planes; ++p) seen += PlaneRows<Op, kWindow, kStride, kLeft>(args, args.in + p * pixels, args.out + p * args.outPlane);
    return seen;
  }
  ForStrips<kWindow, kStride, false>(args, 1, [&](auto strip, int64_t p, int64_t planes, int64_t x) {
    using Strip = decltype(strip);
    seen += SumOf(PoolStrip<Op, typename Strip::Vector, kWindow, kStride, Strip::kEdge>(args, p, planes, x));
  });
  return seen;
}

template <int kWindow, int kStride, int kLeft>
inline void ForPlane(const PoolPlaneArgs& args) {
  ForPoolKind(args.kind, [&](auto op) { return PoolPlanes<decltype(op), kWindow, kStride, kLeft>(args); });
}

void PoolPlane(const PoolPlaneArgs& args) {
  if (args.window == 3 && args.stride == 1) return ForPlane<3, 1, 1>(args);
  if (args.window == 3) return args.left == 0 ? ForPlane<3, 2, 0>(args) : ForPlane<3, 2, 1>(args);
  if (args.stride == 1) return args.left == 0 ? ForPlane<2, 1, 0>(args) : ForPlane<2, 1, 1>(args);
  return args.left == 0 ? ForPlane<2, 2, 0>(args) : ForPlane<2, 2, 1>(args);
}

// result(p, seen) for p < count, four at a time: each has to wait for itself.
template <typename F>
inline void ForPlaces(int64_t count, Vec8 (&seen)[4], const F& result) {
  int64_t p = 0;
  for (; p + 4 <= count; p += 4) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) result(p + i, seen[i]);
  }
  for (; p < count; ++p) result(p, seen[0]);
}

template <int kTerms>
struct Terms {
  static constexpr int kCount = kTerms;
};

// run(op, terms, seen) fills seen, four sums of what it read.
template <typename F>
inline void ForTerms(PoolKind kind, int terms, const F& run) {
  ForPoolKind(kind, [&](auto op) {
    Vec8 seen[4];
    for (Vec8& s : seen) s = Set<Vec8>(0.0f);
    switch (terms) {
      case 2: run(op, Terms<2>(), seen); break;
      case 3: run(op, Terms<3>(), seen); break;
      case 4: run(op, Terms<4>(), seen); break;
      default: run(op, Terms<0>(), seen);
    }
    return Add(Add(seen[0], seen[1]), Add(seen[2], seen[3]));
  });
}

void PoolRows(const PoolRowsArgs& args) {
  ForTerms(args.kind, args.rows, [&](auto op, auto terms, Vec8 (&seen)[4]) {
    for (int64_t y = 0; y < args.count; ++y) {
      for (int64_t phase = 0; phase < args.stride; ++phase) {
        const float* in = args.in + y * args.inStep + phase * 8;
        float* out = args.out + y * args.outStep + phase * args.outPhase;
        ForPlaces((args.pixels - phase + args.stride - 1) / args.stride, seen, [&](int64_t p, Vec8& sum) {
          const float* from = in + p * args.stride * 8;
          Store(ReduceTerms<decltype(op), terms.kCount>(args.rows, sum, [&](int i) { return Load<Vec8>(from + i * args.inRow); }), out + p * 8);
        });
      }
    }
  });
}

void PoolColumns(const PoolColumnsArgs& args) {
  ForTerms(args.kind, args.tapCount, [&](auto op, auto terms, Vec8 (&seen)[4]) {
    for (int64_t y = 0; y < args.count; ++y) {
      const float* in = args.in + y * args.inStep;
      float* out = args.out + y * args.outStep;
      ForPlaces(args.pixels, seen, [&](int64_t p, Vec8& sum) {
        Vec8 result = ReduceTerms<decltype(op), terms.kCount>(args.tapCount, sum, [&](int t) { return Load<Vec8>(in + args.taps[t] + p * 8); });
        if (args.kind == PoolKind::kSum) result = Mul(result, Load<Vec8>(args.factors + p * 8));
        Store(result, out + p * 8);
      });
    }
  });
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
