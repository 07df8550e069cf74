// Pools on a row of one block of 8 channels: maximum, average.
//
// Pixels whose window lies inside the row are done in groups, all taps unrolled for the usual kernels: neighbouring outputs share their loads,
// and a Vec of 16 lanes holds two of them. The few at the sides are done one by one, with the taps outside left out.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

#if defined(__AVX512F__)
using PixelVec = Vec;
constexpr int kPixelsPerVec = 2;
#else
using PixelVec = Vec8;
constexpr int kPixelsPerVec = 1;
#endif

// Vectors per group: enough chains of dependent operations to fill the pipeline.
constexpr int kGroupVecs = 4;

// What a window does with its taps. Start(), Step(value, so far), Finish(result of the taps, output pixel, taps inside).
struct Maximum {
  const WindowRowArgs& args;
  template <typename V>
  V Start() const { return Set<V>(-__builtin_inff()); }
  template <typename V>
  V Step(V x, V acc) const { return MaxOrNaN(acc, x); }
  template <typename V>
  V Finish(V acc, int64_t, int) const { return acc; }
};

struct Average {
  const WindowRowArgs& args;
  template <typename V>
  V Start() const { return Set<V>(0.0f); }
  template <typename V>
  V Step(V x, V acc) const { return Add(acc, x); }
  template <typename V>
  V Finish(V acc, int64_t x, int inside) const {
    int count = inside;
    if (args.countedRows > 0) {
      int columns = 0;
      for (int j = 0; j < args.columns; ++j) columns += x * args.stride + j * args.dilation < args.paddedEnd;
      count = args.countedRows * columns;
    }
    return Div(acc, Set<V>(args.divisor > 0 ? args.divisor : static_cast<float>(count)));
  }
};

// kVecs vectors of outputs from pixel x on, all windows inside the row. kColumns, kStride: 0 if only known at run time.
template <typename V, int kPixels, int kVecs, int kColumns, int kStride, typename Op>
inline void WindowGroup(const WindowRowArgs& args, const Op& op, int64_t x) {
  const int columns = kColumns ? kColumns : args.columns;
  const ptrdiff_t pixel = (kStride ? kStride : args.stride) * 8, step = kColumns ? 8 : args.dilation * 8;
  V acc[kVecs];
#pragma GCC unroll 8
  for (int g = 0; g < kVecs; ++g) acc[g] = op.template Start<V>();
  const float* row = args.in + x * pixel;
  for (int i = 0; i < args.rows; ++i, row += args.inRow) {
#pragma GCC unroll 8
    for (int j = 0; j < columns; ++j) {
#pragma GCC unroll 8
      for (int g = 0; g < kVecs; ++g) acc[g] = op.Step(Load<V>(row + g * kPixels * pixel + j * step), acc[g]);
    }
  }
#pragma GCC unroll 8
  for (int g = 0; g < kVecs; ++g) Store(op.Finish(acc[g], x + g * kPixels, args.rows * columns), args.out + (x + g * kPixels) * 8);
}

template <typename Op>
inline void WindowEdge(const WindowRowArgs& args, const Op& op, int64_t x) {
  const int64_t at = x * args.stride;
  int begin = 0, end = args.columns;
  while (begin < end && at + begin * args.dilation < args.columnBegin) ++begin;
  while (end > begin && at + (end - 1) * args.dilation >= args.columnEnd) --end;
  Vec8 acc = op.template Start<Vec8>();
  for (int i = 0; i < args.rows; ++i) {
    const float* row = args.in + i * args.inRow + at * 8;
    for (int j = begin; j < end; ++j) acc = op.Step(Load<Vec8>(row + j * args.dilation * 8), acc);
  }
  Store(op.Finish(acc, x, args.rows * (end - begin)), args.out + x * 8);
}

template <int kColumns, int kStride, typename Op>
inline void WindowRow(const WindowRowArgs& args, const Op& op) {
  // Outputs left .. right - 1 have their whole window inside.
  const int64_t reach = (args.columns - 1) * args.dilation;
  int64_t left = (args.columnBegin + args.stride - 1) / args.stride;
  int64_t right = args.columnEnd > reach ? (args.columnEnd - 1 - reach) / args.stride + 1 : 0;
  if (left > args.pixels) left = args.pixels;
  if (right > args.pixels) right = args.pixels;
  int64_t x = 0;
  for (; x < left; ++x) WindowEdge(args, op, x);
  // Two neighbours fill a wide vector only where inputs are neighbours too.
  if constexpr (kStride == 1 && kPixelsPerVec > 1) {
    for (; x + kGroupVecs * kPixelsPerVec <= right; x += kGroupVecs * kPixelsPerVec) {
      WindowGroup<PixelVec, kPixelsPerVec, kGroupVecs, kColumns, kStride>(args, op, x);
    }
    for (; x + kPixelsPerVec <= right; x += kPixelsPerVec) WindowGroup<PixelVec, kPixelsPerVec, 1, kColumns, kStride>(args, op, x);
  }
  for (; x + kGroupVecs <= right; x += kGroupVecs) WindowGroup<Vec8, 1, kGroupVecs, kColumns, kStride>(args, op, x);
  for (; x < right; ++x) WindowGroup<Vec8, 1, 1, kColumns, kStride>(args, op, x);
  for (; x < args.pixels; ++x) WindowEdge(args, op, x);
}

template <typename Op>
inline void ForWindow(const WindowRowArgs& args) {
  const Op op = {args};
  const int kind = args.dilation == 1 && args.stride <= 2 ? static_cast<int>(args.columns * 2 + args.stride) : 0;
  switch (kind) {
    case 1 * 2 + 1: return WindowRow<1, 1>(args, op);
    case 2 * 2 + 2: return WindowRow<2, 2>(args, op);
    case 3 * 2 + 1: return WindowRow<3, 1>(args, op);
    case 3 * 2 + 2: return WindowRow<3, 2>(args, op);
    case 5 * 2 + 1: return WindowRow<5, 1>(args, op);
    case 5 * 2 + 2: return WindowRow<5, 2>(args, op);
    default: return args.stride == 1 ? WindowRow<0, 1>(args, op) : WindowRow<0, 0>(args, op);
  }
}

void MaxPoolRow(const WindowRowArgs& args) { ForWindow<Maximum>(args); }
void AvgPoolRow(const WindowRowArgs& args) { ForWindow<Average>(args); }

}  // namespace
}  // namespace xcorr::XCORR_ISA
