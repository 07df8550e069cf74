// Depthwise convolution of plain images, lanes along the pixels: nothing is brought into blocks, and nothing is padded or copied.
//
// A plane is cut into strips (planeStrips.h). Down a strip, each row of the input is loaded once per column of the kernel and added to the outputs that it
// belongs to, so that kernel height / stride outputs are open at a time, in registers:
//
//   for row i:  for column j of the kernel:  x = row i's pixels at j ...;  for output y with i in its window:  acc[y] += x * weights[i's place in it][j]
//
// With dilation, columns of the kernel read that many pixels apart, and the image is some of the rows of a larger one. A 3x3 kernel does 9 multiply-adds on 3
// loads, with its weights in registers.
#pragma once

#include "planeStrips.h"

namespace xcorr::XCORR_ISA {
namespace {

// Output columns x .. of `planes` planes from the first on.
template <typename V, int kKernel, int kStride, Edge kEdge, bool kDilated>
void PlaneStrip(const DepthwisePlanesArgs& args, int64_t firstPlane, int64_t planes, int64_t x) {
  static_assert((kKernel - 1) % kStride == 0, "an output is complete after the first row of the newest");
  using Columns = StripColumns<V, kKernel, kStride, kEdge, kDilated, false>;
  constexpr int kOpen = (kKernel - 1) / kStride + 1, kTaps = kKernel * kKernel, kWidth = Columns::kWidth;
  // Larger kernels read their weights again and again.
  constexpr bool kHeld = kKernel == 3;
  // Few outputs are open: what a row gives is added up apart, so that it need not wait for the row before.
  constexpr bool kApart = kStride == 2 && (kKernel == 3 || kLanes <= 8);
  // Whether rows are in the image.
  constexpr int kYes = 1, kNo = 0, kPerhaps = -1;
  const int64_t first = x * kStride - args.left, top = args.begin * kStride - args.top, pixels = args.pixels, width = args.width, height = args.height;
  const int64_t written = pixels - x < Columns::kOutputs ? pixels - x : Columns::kOutputs;
  const Columns columns(first, width, args.dilation);
  const StripResults results = {args.out, pixels, args.end - args.begin, args.outRow, args.outPlane, args.planes, args.whole};
  const V low = Set<V>(args.low), high = Set<V>(args.high);
  // Copies, which no store can change.
  const int64_t begin = args.begin, stop = args.end, ahead = results.Ahead(), inRow = args.inRow, inPlane = args.inPlane, outRow = args.outRow;
  // The second cache is asked for the same place of the next plane, or of one of the next small ones.
  const ptrdiff_t inAhead = inPlane > 2048 ? inPlane : 2048;
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
    // Output y is complete after row y * kStride + kKernel - 1 - args.top; the first ones that rows belong to are not asked for.
    int64_t y = begin + 1 - kOpen, row = top + 1 - kStride;
    const float* in = args.in + p * inPlane + row * inRow + first;
    float* out = args.out + p * args.outPlane + x;
    const float* end = results.End<kWidth>(p, x);
    // Of outputs y, y + 1, ...
    V acc[kOpen];
#pragma GCC unroll 8
    for (int o = 0; o < kOpen; ++o) acc[o] = bias;
    const auto take = [&](int kernelRow, int inside) __attribute__((always_inline)) {
      if (inside == kYes || (inside == kPerhaps && row >= 0 && row < height)) {
        V sums[kOpen];
        columns.ForColumns(in, [&](auto column, V x) __attribute__((always_inline)) {
          constexpr int j = decltype(column)::value;
#pragma GCC unroll 8
          for (int o = 0; o < kOpen; ++o) {
            const int i = kernelRow - o * kStride;
            if (i < 0) continue;
            if (!kApart || i == 0) acc[o] = MulAdd(x, weight(i, j), acc[o]);
            else sums[o] = j == 0 ? Mul(x, weight(i, j)) : MulAdd(x, weight(i, j), sums[o]);
          }
        });
#pragma GCC unroll 8
        for (int o = 0; kApart && o < kOpen; ++o) {
          if (kernelRow > o * kStride) acc[o] = Add(acc[o], sums[o]);
        }
      }
#pragma GCC unroll 2
      for (int at = 0; at < kWidth * kStride; at += 16) __builtin_prefetch(in + inAhead + at, 0, 2);
      ++row;
      in += inRow;
    };
    const auto next = [&](int insideFirst, int inside) __attribute__((always_inline)) {
      if (kStride == 2) take(kKernel - 2, insideFirst);
      take(kKernel - 1, inside);
      const V done = acc[0];
#pragma GCC unroll 8
      for (int o = 0; o + 1 < kOpen; ++o) acc[o] = acc[o + 1];
      acc[kOpen - 1] = bias;
      ++y;
      return done;
    };
    const auto write = [&](V done) __attribute__((always_inline)) {
      StoreStrip(Columns::Result(Min(high, Max(low, done))), out, end, written);
      __builtin_prefetch(out + ahead, 1);
      out += outRow;
    };
    while (y < begin) next(kPerhaps, kPerhaps);
    while (y < stop && row < 0) write(next(kPerhaps, kPerhaps));
    while (y < stop && row + kStride <= height) write(next(kYes, kYes));
    while (y < stop) write(next(kPerhaps, kNo));
  }
}

template <int kKernel, int kStride, bool kDilated = false>
void RunPlanes(const DepthwisePlanesArgs& args) {
  ForStrips<kKernel, kStride, kDilated>(args, args.dilation, [&](auto strip, int64_t p, int64_t planes, int64_t x) {
    using Strip = decltype(strip);
    PlaneStrip<typename Strip::Vector, kKernel, kStride, Strip::kEdge, kDilated>(args, p, planes, x);
  });
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
