// Convolution of plain images into one channel, lanes along the pixels: filters of grey pictures.
//
// With one output a tile of kernels/planesTile.h loads a vector for every product. Here kRows rows of the output stay in registers together, and what
// is loaded is added to all of them that read it, with the weights of another row each:
//
//   for row i of the input, tap t:  for vector v:  x = in[i][taps[t]][v];  for output row r:  acc[r][v] += weights[i - r][t] * x
//
// Small kernels have as many rows open as they are high, and go on down the image: a row of the input ends one row of the output and begins another,
// so it is loaded once for all. Higher ones make kPlaneRows rows and begin again: an 11x11 kernel on 4 rows, 14 * 11 loads of vectors for 44 * 11 products.
#pragma once

#include "activation.h"
#include "convTile.h"

namespace xcorr::XCORR_ISA {
namespace {

// What fits into 32 registers: 16 sums, 4 inputs, 4 weights; or into 16: 12 sums, 3 weights and an input at a time, or 12 sums, 2 inputs
// and a weight.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr bool kManyRegisters = true;
constexpr int kPlaneRows = 4, kOpenRows = 8;
constexpr int VecsOfRows(int rows) { return rows <= 4 ? 4 : rows == 5 ? 3 : 2; }
#else
constexpr bool kManyRegisters = false;
constexpr int kPlaneRows = 3, kOpenRows = 6;
constexpr int VecsOfRows(int rows) { return rows <= 3 ? 4 : 2; }
#endif
constexpr int kPlaneRowVecs = VecsOfRows(kPlaneRows);

// Most vectors of a row of a tile.
int PlaneRowVecs(int64_t kernelRows) { return kernelRows <= kOpenRows ? VecsOfRows(static_cast<int>(kernelRows)) : kPlaneRowVecs; }

// The same place of the tile to the right. Tiles are high, and so many rows are more streams than the machine foresees: 11x11 on
// 1080p took 7.4 instead of 5.6 ms.
template <int kVecs>
[[gnu::always_inline]] inline void PrefetchTile(const float* at) {
  constexpr int kLine = kLanes < 16 ? 16 / kLanes : 1;
#pragma GCC unroll 8
  for (int v = 0; v < kVecs; v += kLine) Prefetch(at + (kVecs + v) * kLanes);
}

// One row of the input for output rows kFirst .. kEnd - 1; weights: of row kFirst.
template <int kFirst, int kEnd, int kVecs, int kRows>
[[gnu::always_inline]] inline void AddPlaneRow(const PlanesRowsArgs& args, const float* row, const float* weights, Vec (&acc)[kRows][kVecs]) {
  PrefetchTile<kVecs>(row);
  for (int64_t t = 0; t < args.tapCount; ++t) {
    const float* in = row + args.taps[t];
    const auto weight = [&](int r) { return Set<Vec>(weights[t - (r - kFirst) * args.tapCount]); };
    // Weights first need fewer registers; inputs first are 15 % faster, if there are enough.
    if constexpr (kManyRegisters || kEnd - kFirst > kPlaneRows) {
      Vec x[kVecs];
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) x[v] = Load<Vec>(in + v * kLanes);
#pragma GCC unroll 8
      for (int r = kFirst; r < kEnd; ++r) {
        const Vec w = weight(r);
#pragma GCC unroll 8
        for (int v = 0; v < kVecs; ++v) acc[r][v] = MulAdd(x[v], w, acc[r][v]);
      }
    } else {
      Vec w[kEnd - kFirst];
#pragma GCC unroll 8
      for (int r = kFirst; r < kEnd; ++r) w[r - kFirst] = weight(r);
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) {
        const Vec x = Load<Vec>(in + v * kLanes);
#pragma GCC unroll 8
        for (int r = kFirst; r < kEnd; ++r) acc[r][v] = MulAdd(x, w[r - kFirst], acc[r][v]);
      }
    }
  }
}

// Rows kRow .. kRows - 2 of the input: only the outputs above have begun.
template <int kRow, int kVecs, int kRows>
[[gnu::always_inline]] inline void AddFirstRows(const PlanesRowsArgs& args, const float* in, const float* weights, Vec (&acc)[kRows][kVecs]) {
  if constexpr (kRow < kRows - 1) {
    AddPlaneRow<0, kRow + 1>(args, in, weights, acc);
    AddFirstRows<kRow + 1>(args, in + args.inRow, weights + args.tapCount, acc);
  }
}

// The last kRows - 1 rows: outputs before kFirst are done. in: the row after the last of output 0; weights: of output kFirst, the last row.
template <int kFirst, int kVecs, int kRows>
[[gnu::always_inline]] inline void AddLastRows(const PlanesRowsArgs& args, const float* in, const float* weights, Vec (&acc)[kRows][kVecs]) {
  if constexpr (kFirst < kRows) {
    AddPlaneRow<kFirst, kRows>(args, in, weights, acc);
    AddLastRows<kFirst + 1>(args, in + args.inRow, weights, acc);
  }
}

template <int kVecs>
[[gnu::always_inline]] inline void StorePlaneRow(const Vec (&acc)[kVecs], float* out) {
  PrefetchTile<kVecs>(out);
#pragma GCC unroll 8
  for (int v = 0; v < kVecs; ++v) Store(acc[v], out + v * kLanes);
}

// kRows rows; more, if the kernel has kRows as well.
template <int kRows, int kVecs>
void RunPlanesRows(const PlanesRowsArgs& args) {
  Vec acc[kRows][kVecs];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) acc[r][v] = Set<Vec>(args.bias);
  }
  const float *in = args.in + (kRows - 1) * args.inRow, *weights = args.weights + (kRows - 1) * args.tapCount;
  AddFirstRows<0>(args, args.in, args.weights, acc);
  AddPlaneRow<0, kRows>(args, in, weights, acc);
  for (int64_t i = kRows; i < args.kernelRows; ++i) AddPlaneRow<0, kRows>(args, in += args.inRow, weights += args.tapCount, acc);
  float* out = args.out;
  for (int64_t y = kRows; y < args.rows; ++y, out += args.outRow) {
    StorePlaneRow(acc[0], out);
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) {
#pragma GCC unroll 8
      for (int r = 1; r < kRows; ++r) acc[r - 1][v] = acc[r][v];
      acc[kRows - 1][v] = Set<Vec>(args.bias);
    }
    AddPlaneRow<0, kRows>(args, in += args.inRow, weights, acc);
  }
  AddLastRows<1>(args, in + args.inRow, weights, acc);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r, out += args.outRow) StorePlaneRow(acc[r], out);
}

template <int kRows, int kVecs>
inline void ForPlaneRowVecs(const PlanesRowsArgs& args) {
  if (args.vecs == kVecs) {
    RunPlanesRows<kRows, kVecs>(args);
  } else if constexpr (kVecs > 1) {
    ForPlaneRowVecs<kRows, kVecs - 1>(args);
  }
}

template <int kRows>
inline void ForPlaneRows(const PlanesRowsArgs& args, int64_t rows) {
  if (rows == kRows) {
    ForPlaneRowVecs<kRows, kRows <= kPlaneRows ? kPlaneRowVecs : VecsOfRows(kRows)>(args);
  } else if constexpr (kRows > 1) {
    ForPlaneRows<kRows - 1>(args, rows);
  }
}

// In the first cache.
void ActivateRows(const PlanesRowsArgs& args) {
  ForKind(args.activation.kind, [&](auto as) {
    float* row = args.out;
    for (int64_t y = 0; y < args.rows; ++y, row += args.outRow) {
      for (float* p = row; p < row + args.vecs * kLanes; p += kLanes) Store(ActivateAs<decltype(as)::kind>(Load<Vec>(p), args.activation), p);
    }
  });
}

void PlanesRows(const PlanesRowsArgs& args) {
  if (args.kernelRows <= kOpenRows && args.kernelRows <= args.rows) {
    ForPlaneRows<kOpenRows>(args, args.kernelRows);
  } else {
    PlanesRowsArgs some = args;
    for (int64_t left = args.rows; left > 0; left -= some.rows, some.in += some.rows * some.inRow, some.out += some.rows * some.outRow) {
      some.rows = left < kPlaneRows ? left : kPlaneRows;
      if (some.rows > some.kernelRows) some.rows = some.kernelRows;
      ForPlaneRows<kPlaneRows>(some, some.rows);
    }
  }
  if (args.activation.kind != ActivationKind::kNone) ActivateRows(args);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
