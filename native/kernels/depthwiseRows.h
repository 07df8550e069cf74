// Depthwise convolution of one block of 8 channels: every lane has a weight of its own. The input has its padding around it, so there are no edges.
//
// With stride 1, two output rows are made at once from kernel height + 1 input rows: each vector that is loaded serves both. A Vec of 16
// lanes then holds two neighbouring pixels. Groups of vectors stay in registers over all taps.
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

// The same 8 numbers for each pixel of a V.
template <typename V>
inline V SamePixels(const float* p) {
  return Load<V>(p);
}
#if defined(__AVX512F__)
template <>
inline Vec SamePixels<Vec>(const float* p) {
  return {_mm512_broadcast_f32x8(_mm256_loadu_ps(p))};
}
inline void StoreFirst(Vec x, float* p) { Store(LowHalf(x), p); }
#endif
inline void StoreFirst(Vec8 x, float* p) { Store(x, p); }

// kGroup vectors of kPer pixels from `in` on, kRows output rows; of the last vector, only the first pixel if `odd`. kKernel: size of a square
// kernel without dilation; 0: as the arguments say.
template <typename V, int kPer, int kGroup, int kRows, int kKernel, int kStride>
inline void DepthwiseGroup(const DepthwiseArgs& args, const float* in, float* out, const float* residual, bool odd) {
  const int rows = kKernel ? kKernel : args.kernelRows, columns = kKernel ? kKernel : args.kernelColumns;
  const ptrdiff_t pixel = (kStride ? kStride : args.stride) * 8, column = kKernel ? 8 : args.dilation * 8;
  V acc[kRows][kGroup];
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroup; ++g) acc[r][g] = SamePixels<V>(args.bias);
  }
  const float* row = in;
#pragma GCC unroll 6
  for (int i = 0; i < rows + kRows - 1; ++i, row += args.inRow) {
#pragma GCC unroll 5
    for (int j = 0; j < columns; ++j) {
      V x[kGroup];
#pragma GCC unroll 8
      for (int g = 0; g < kGroup; ++g) x[g] = Load<V>(row + g * kPer * pixel + j * column);
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) {
        if (i - r < 0 || i - r >= rows) continue;
        const V w = SamePixels<V>(args.weights + ((i - r) * columns + j) * 8);
#pragma GCC unroll 8
        for (int g = 0; g < kGroup; ++g) acc[r][g] = MulAdd(x[g], w, acc[r][g]);
      }
    }
  }
  const bool clips = args.activation.kind == ActivationKind::kClip && !args.activation.affine;
  const bool other = args.activation.kind != ActivationKind::kNone && !clips;
  const V low = Set<V>(args.activation.a), high = Set<V>(args.activation.b);
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroup; ++g) {
      const ptrdiff_t at = r * args.outRow + g * kPer * 8;
      const bool first = kPer > 1 && g == kGroup - 1 && odd;
      V y = acc[r][g];
      if (residual) y = Add(y, first ? SamePixels<V>(residual + at) : Load<V>(residual + at));
      if (clips) y = Min(high, Max(low, y));
      if (first) StoreFirst(y, out + at);
      else Store(y, out + at);
    }
  }
  if (!other) return;
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kGroup * kPer - (odd ? 1 : 0); ++p) {
      float* to = out + r * args.outRow + p * 8;
      Store(Activate(Load<Vec8>(to), args.activation), to);
    }
  }
}

template <typename V, int kPer, int kGroup, int kRows, int kKernel, int kStride>
inline void DepthwiseRest(const DepthwiseArgs& args, int64_t x, int64_t pixels) {
  if (pixels > (kGroup - 1) * kPer) {
    const ptrdiff_t out = x * 8, in = x * args.stride * 8;
    DepthwiseGroup<V, kPer, kGroup, kRows, kKernel, kStride>(args, args.in + in, args.out + out, args.residual ? args.residual + out : nullptr, pixels % kPer != 0);
  } else if constexpr (kGroup > 1) {
    DepthwiseRest<V, kPer, kGroup - 1, kRows, kKernel, kStride>(args, x, pixels);
  }
}

template <typename V, int kPer, int kGroup, int kRows, int kKernel, int kStride>
inline void DepthwiseLine(const DepthwiseArgs& args) {
  int64_t x = 0;
  for (; x + kGroup * kPer <= args.pixels; x += kGroup * kPer) {
    DepthwiseGroup<V, kPer, kGroup, kRows, kKernel, kStride>(args, args.in + x * args.stride * 8, args.out + x * 8, args.residual ? args.residual + x * 8 : nullptr, false);
  }
  if (x < args.pixels) DepthwiseRest<V, kPer, kGroup, kRows, kKernel, kStride>(args, x, args.pixels - x);
}

// Two rows by four vectors, or one by eight: enough chains of additions, and they leave registers for the weights of a 3x3 kernel.
constexpr int kLineVecs = kLanes >= 8 ? 4 : 2;

template <int kKernel>
inline void DepthwiseKernel(const DepthwiseArgs& args) {
  if (args.stride == 1 && args.rows == 2) DepthwiseLine<PixelVec, kPixelsPerVec, kLineVecs, 2, kKernel, 1>(args);
  else if (args.stride == 1) DepthwiseLine<PixelVec, kPixelsPerVec, kLineVecs, 1, kKernel, 1>(args);
  else DepthwiseLine<Vec8, 1, 2 * kLineVecs, 1, kKernel, kKernel ? 2 : 0>(args);
}

void DepthwiseRows(const DepthwiseArgs& args) {
  const int size = args.kernelRows == args.kernelColumns && args.dilation == 1 && args.stride <= 2 ? args.kernelRows : 0;
  if (size == 3) DepthwiseKernel<3>(args);
  else if (size == 5) DepthwiseKernel<5>(args);
  else DepthwiseKernel<0>(args);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
