// Depthwise convolution of plain images, lanes along the pixels: nothing is brought into blocks, and nothing is padded or copied.
//
// A plane is cut into strips as wide as a vector. Down a strip, rows of the input go by one after another; each is loaded once per column of the kernel
// and added to the outputs that it belongs to, so that kernel height / stride outputs are open at a time, in registers:
//
//   for row i:  for column j of the kernel:  x = row i's pixels at j ...;  for output y with i in its window:  acc[y] += x * weights[i's place in it][j]
//
// With dilation, columns of the kernel read that many pixels apart, and the image is some of the rows of a larger one. Rows outside of the image are left out, columns outside are masked. A 3x3 kernel does 9 multiply-adds on 3 loads, with its weights in registers.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

template <int kValue>
struct Int {
  static constexpr int value = kValue;
};
template <int kBegin, int kEnd, typename F>
[[gnu::always_inline]] inline void ForEach(const F& f) {
  if constexpr (kBegin < kEnd) {
    f(Int<kBegin>());
    ForEach<kBegin + 1, kEnd>(f);
  }
}

// Which loads of a strip may reach out of the image: none; of a first strip those to the left of the kernel's middle; of a last one those to the right of
// it; any; any of a strip that is a whole row, with lanes to spare.
enum class Edge { kNone, kLeft, kRight, kAny, kRow };

// What the columns of the kernel read of a row. With a stride of 2 two vectors give the even pixels and the odd ones. The columns after the first two come
// from vectors of their own or, with 16 lanes and of short rows, are the first two moved by lanes, so that the last lanes of a strip are no outputs.
template <typename V, int kKernel, int kStride, Edge kEdge, bool kDilated>
class StripColumns {
 public:
  static constexpr int kWidth = sizeof(V) / sizeof(float);
  static constexpr bool kMoves = kStride == 2 && (kLanes > 8 || (kLanes == 8 && kKernel == 3 && kEdge == Edge::kRow));
  static constexpr int kOutputs = kMoves ? kWidth - (kKernel - 1) / 2 : kWidth;
  static_assert(!kDilated || kStride == 1);

  // Lane 0 of column 0 is the pixel `first` of a row of so many.
  StripColumns(int64_t first, int64_t width, int64_t dilation) : dilation_(dilation) {
    for (int k = 0; k < kLoads; ++k) masks_[k] = MakeMask<V>(-(first + Place(k)), width - (first + Place(k)));
  }
  // How many pixels of a row all columns read.
  static int64_t Reach(int64_t dilation) { return kStride == 1 ? kWidth + (kKernel - 1) * dilation : kMoves ? 2 * kWidth : 2 * kWidth + kKernel - 1; }
  // Those before what the kernel's middle reads for the first output, and as far as what it reads for the last.
  static int64_t Middle(int64_t dilation) { return kMiddle * dilation; }
  static int64_t Inner(int64_t dilation) { return (kOutputs - 1) * kStride + kMiddle * dilation + 1; }

  // Calls f(Int<j>(), what column j reads) for all columns. row: from the pixel `first` on.
  template <typename F>
  [[gnu::always_inline]] void ForColumns(const float* row, const F& f) const {
    V even, odd;
    ForEach<0, kKernel>([&](auto column) __attribute__((always_inline)) {
      constexpr int j = decltype(column)::value;
      if constexpr (kStride == 1) {
        f(column, Pixels<j>(row));
      } else {
        if constexpr (kMoves && j == 0) Deinterleave(Pixels<0>(row), Pixels<1>(row), even, odd);
        if constexpr (!kMoves && j % 2 == 0) Split(Pixels<j>(row), Pixels<j + 1>(row), even, odd);
        if constexpr (kMoves && j >= 2) f(column, Shift<j / 2>(j % 2 ? odd : even, j % 2 ? odd : even));
        else f(column, j % 2 ? odd : even);
      }
    });
  }
  // Outputs as they lie in memory, of sums in the order of what the columns read.
  static V Result(V sums) {
    if constexpr (kStride == 2 && !kMoves) return Ordered(sums);
    else return sums;
  }

 private:
  static constexpr int kMiddle = (kKernel - 1) / 2, kInner = (kOutputs - 1) * kStride + kMiddle + 1;
  static constexpr int kLoads = kStride == 1 ? kKernel : kMoves ? 2 : (kKernel + 1) / 2 * 2;
  // Where a load begins, without dilation.
  static constexpr int At(int load) { return kStride == 1 ? load : load / 2 * 2 + load % 2 * kWidth; }
  int64_t Place(int load) const { return kDilated ? load * dilation_ : At(load); }
  // Whether a load may reach out of the image.
  static constexpr bool Reaches(int load) {
    if (kEdge == Edge::kLeft) return At(load) < kMiddle;
    if (kEdge == Edge::kRight) return At(load) + kWidth > kInner;
    return kEdge != Edge::kNone;
  }
  template <int kLoad>
  [[gnu::always_inline]] V Pixels(const float* row) const {
    if constexpr (Reaches(kLoad)) return LoadMasked(row + Place(kLoad), masks_[kLoad]);
    else return Kept(Load<V>(row + Place(kLoad)));
  }
  int64_t dilation_;
  Mask<V> masks_[kLoads];
};

// Output columns x .. of `planes` planes from the first on.
template <typename V, int kKernel, int kStride, Edge kEdge, bool kDilated>
void PlaneStrip(const DepthwisePlanesArgs& args, int64_t firstPlane, int64_t planes, int64_t x) {
  static_assert((kKernel - 1) % kStride == 0, "an output is complete after the first row of the newest");
  using Columns = StripColumns<V, kKernel, kStride, kEdge, kDilated>;
  constexpr int kOpen = (kKernel - 1) / kStride + 1, kTaps = kKernel * kKernel, kWidth = Columns::kWidth;
  // Larger kernels read their weights again and again.
  constexpr bool kHeld = kKernel == 3;
  // Few outputs are open: what a row gives is added up apart, so that it need not wait for the row before.
  constexpr bool kApart = kStride == 2 && kLanes <= 8;
  constexpr Int<1> kChecked;
  constexpr Int<0> kUnchecked;
  const int64_t first = x * kStride - args.left, top = args.begin * kStride - args.top, pixels = args.pixels, width = args.width, height = args.height;
  const int64_t written = pixels - x < Columns::kOutputs ? pixels - x : Columns::kOutputs;
  const Columns columns(first, width, args.dilation);
  const V low = Set<V>(args.low), high = Set<V>(args.high);
  // Copies, which no store can change.
  const int64_t begin = args.begin, stop = args.end, ahead = args.ahead, inRow = args.inRow, outRow = args.outRow;
  for (int64_t p = firstPlane; p < firstPlane + planes; ++p) {
    const float* data = args.data + p * (1 + kTaps);
    const V bias = Set<V>(data[0]);
    V held[kHeld ? kTaps : 1];
#pragma GCC unroll 16
    for (int t = 0; kHeld && t < kTaps; ++t) held[t] = Set<V>(data[1 + t]);
    const auto weight = [&](int i, int j) {
      if constexpr (kHeld) return held[i * kKernel + j];
      else return Set<V>(data[1 + i * kKernel + j]);
    };
    int64_t row = top;
    const float* in = args.in + p * args.inPlane + row * inRow + first;
    float* out = args.out + p * args.outPlane + x;
    // What the first strip writes past its pixels, the next strip or row writes again, if rows lie one after another; others write beyond theirs only where a
    // later one does.
    const float* end = x + kWidth > pixels && (x > 0 || outRow != pixels) ? out
                       : args.whole                                       ? args.out + args.planes * args.outPlane
                                                                          : args.out + p * args.outPlane + (args.end - args.begin) * outRow;
    V acc[kOpen];
#pragma GCC unroll 8
    for (int o = 0; o < kOpen; ++o) acc[o] = bias;
    const auto take = [&](auto checked, auto kernelRow, auto place) __attribute__((always_inline)) {
      if (!decltype(checked)::value || (row >= 0 && row < height)) {
        // Output o of those that are open is in acc[(o + place) % kOpen], and takes row kRow - o * kStride of the kernel.
        V sums[kOpen];
        columns.ForColumns(in, [&](auto column, V x) __attribute__((always_inline)) {
          constexpr int j = decltype(column)::value;
#pragma GCC unroll 8
          for (int o = 0; o < kOpen; ++o) {
            const int i = decltype(kernelRow)::value - o * kStride, at = (o + decltype(place)::value) % kOpen;
            if (i < 0 || i >= kKernel) continue;
            if (!kApart) acc[at] = MulAdd(x, weight(i, j), acc[at]);
            else sums[o] = j == 0 ? Mul(x, weight(i, j)) : MulAdd(x, weight(i, j), sums[o]);
          }
        });
#pragma GCC unroll 8
        for (int o = 0; kApart && o < kOpen; ++o) {
          const int i = decltype(kernelRow)::value - o * kStride, at = (o + decltype(place)::value) % kOpen;
          if (i >= 0 && i < kKernel) acc[at] = Add(acc[at], sums[o]);
        }
      }
      ++row;
      in += inRow;
    };
    const auto complete = [&](auto place) __attribute__((always_inline)) {
      V& done = acc[decltype(place)::value];
      const V result = Columns::Result(Min(high, Max(low, done)));
      if (out + kWidth <= end) Store(result, out);
      else StoreFirst(result, out, written);
      __builtin_prefetch(out + ahead, 1);
      out += outRow;
      done = bias;
    };
    const auto rotate = [&]() __attribute__((always_inline)) {
      const V done = acc[0];
#pragma GCC unroll 8
      for (int o = 0; o + 1 < kOpen; ++o) acc[o] = acc[o + 1];
      acc[kOpen - 1] = done;
    };
    // The first rows complete outputs that are not asked for.
    int64_t y = begin + 1 - kOpen;
    for (; y < begin; ++y) {
      take(kChecked, Int<kKernel - 1>(), Int<0>());
      acc[0] = bias;
      rotate();
      if constexpr (kStride == 2) take(kChecked, Int<kKernel - 2>(), Int<0>());
    }
    const auto edge = [&]() __attribute__((always_inline)) {
      take(kChecked, Int<kKernel - 1>(), Int<0>());
      complete(Int<0>());
      rotate();
      if constexpr (kStride == 2) take(kChecked, Int<kKernel - 2>(), Int<0>());
      ++y;
    };
    while (y < stop && row < 0) edge();
    while (y + kOpen <= stop && row + kOpen * kStride <= height) {
      ForEach<0, kOpen>([&](auto place) __attribute__((always_inline)) {
        take(kUnchecked, Int<kKernel - 1>(), place);
        complete(place);
        if constexpr (kStride == 2) take(kUnchecked, Int<kKernel - 2>(), Int<decltype(place)::value + 1>());
      });
      y += kOpen;
    }
    while (y < stop) edge();
  }
}

template <typename V, int kKernel, int kStride, bool kDilated>
inline void ForStrip(const DepthwisePlanesArgs& args, int64_t firstPlane, int64_t planes, int64_t x) {
  using Columns = StripColumns<V, kKernel, kStride, Edge::kAny, kDilated>;
  const int64_t first = x * kStride - args.left, dilation = args.dilation;
  const bool left = first < 0, right = first + Columns::Reach(dilation) > args.width;
  if (!left && !right) return PlaneStrip<V, kKernel, kStride, Edge::kNone, kDilated>(args, firstPlane, planes, x);
  // AVX-512 masks by registers of their own.
  if constexpr (kLanes <= 8) {
    using Row = StripColumns<V, kKernel, kStride, Edge::kRow, kDilated>;
    if constexpr (Row::kMoves) {
      if (args.pixels <= Row::kOutputs) return PlaneStrip<V, kKernel, kStride, Edge::kRow, kDilated>(args, firstPlane, planes, x);
    }
    if (!right && first + Columns::Middle(dilation) >= 0) return PlaneStrip<V, kKernel, kStride, Edge::kLeft, kDilated>(args, firstPlane, planes, x);
    if (!left && first + Columns::Inner(dilation) <= args.width) return PlaneStrip<V, kKernel, kStride, Edge::kRight, kDilated>(args, firstPlane, planes, x);
  }
  PlaneStrip<V, kKernel, kStride, Edge::kAny, kDilated>(args, firstPlane, planes, x);
}

template <int kKernel, int kStride, bool kDilated = false>
void RunPlanes(const DepthwisePlanesArgs& args) {
  constexpr int64_t kOutputs = StripColumns<Vec, kKernel, kStride, Edge::kNone, kDilated>::kOutputs;
  const int64_t pixels = args.height * args.width, most = pixels > 2048 ? 1 : 2048 / (pixels + 1) + 1;
  for (int64_t p = 0; p < args.planes; p += most) {
    const int64_t planes = args.planes - p < most ? args.planes - p : most;
    for (int64_t x = 0; x < args.pixels; x += kOutputs) {
      const int64_t left = args.pixels - x;
      // The last strip overlaps the one before.
      if constexpr (kLanes > 8) {
        constexpr int64_t kFew = StripColumns<Vec8, kKernel, kStride, Edge::kNone, kDilated>::kOutputs;
        if (left <= kFew) {
          ForStrip<Vec8, kKernel, kStride, kDilated>(args, p, planes, args.pixels < kFew ? 0 : args.pixels - kFew);
          break;
        }
      }
      ForStrip<Vec, kKernel, kStride, kDilated>(args, p, planes, left < kOutputs && x > 0 ? args.pixels - kOutputs : x);
    }
  }
}

void DepthwisePlanes(const DepthwisePlanesArgs& args) {
  if (args.dilation > 1) return RunPlanes<3, 1, true>(args);
  switch (args.kernel * 2 + args.stride) {
    case 3 * 2 + 1: return RunPlanes<3, 1>(args);
    case 3 * 2 + 2: return RunPlanes<3, 2>(args);
    case 5 * 2 + 1: return RunPlanes<5, 1>(args);
    case 5 * 2 + 2: return RunPlanes<5, 2>(args);
    default: return RunPlanes<7, 1>(args);
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
