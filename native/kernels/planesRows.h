// Convolution of plain images into one channel, lanes along the pixels: filters of grey pictures.
//
// With one output a tile of kernels/planesTile.h loads a vector for every product. Here kRows rows of the output stay in registers together, and what
// is loaded is added to all of them that read it, with the weights of another row each:
//
//   for row i of the input, column j:  for vector v:  x = in[v][i][j ...];  for output row r:  acc[r][v] += weights[i - r][j] * x
//
// An 11x11 kernel on 4 rows: 14 * 11 loads of vectors for 44 * 11 products. The first and the last kRows - 1 rows are read by some of the outputs only.
// The order of the additions is the order of the taps, as in kernels/convTile.h.
#pragma once

#include "planesTile.h"

namespace xcorr::XCORR_ISA {
namespace {

// What fits into 32 registers: 16 sums, 4 inputs, 4 weights; or into 16: 9, 3 and 1.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kPlaneRows = 4, kPlaneRowVecs = 4;
#else
constexpr int kPlaneRows = 3, kPlaneRowVecs = 3;
#endif

// One row of the input for output rows kFirst .. kEnd - 1; weights: of row kFirst.
template <int kFirst, int kEnd, int kVecs, int kRows>
[[gnu::always_inline]] inline void AddPlaneRow(const PlanesRowsArgs& args, const float* row, const float* weights, Vec (&acc)[kRows][kVecs]) {
  const float* in[kVecs];
#pragma GCC unroll 8
  for (int v = 0; v < kVecs; ++v) in[v] = row + args.inAt[v];
  for (int64_t j = 0; j < args.kw; ++j) {
    Vec x[kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) x[v] = Load<Vec>(in[v] + j * args.dilation);
#pragma GCC unroll 8
    for (int r = kFirst; r < kEnd; ++r) {
      const Vec weight = Set<Vec>(weights[j - (r - kFirst) * args.kw]);
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[r][v] = MulAdd(x[v], weight, acc[r][v]);
    }
  }
}

// Rows kRow .. kRows - 2 of the input: only the outputs above have begun.
template <int kRow, int kVecs, int kRows>
[[gnu::always_inline]] inline void AddFirstRows(const PlanesRowsArgs& args, const float* in, const float* weights, Vec (&acc)[kRows][kVecs]) {
  if constexpr (kRow < kRows - 1) {
    AddPlaneRow<0, kRow + 1>(args, in + kRow * args.inRow, weights + kRow * args.kw, acc);
    AddFirstRows<kRow + 1>(args, in, weights, acc);
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

template <int kRows, int kVecs>
void RunPlanesRows(const PlanesRowsArgs& args) {
  Vec acc[kRows][kVecs];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) acc[r][v] = Set<Vec>(args.bias);
  }
  for (int64_t c = 0; c < args.inputs; ++c) {
    const float* in = args.in + c * args.inPlane;
    const float* weights = args.weights + c * args.kh * args.kw;
    AddFirstRows<0>(args, in, weights, acc);
    for (int64_t i = kRows - 1; i < args.kh; ++i) AddPlaneRow<0, kRows>(args, in + i * args.inRow, weights + i * args.kw, acc);
    AddLastRows<1>(args, in + args.kh * args.inRow, weights + (args.kh - 1) * args.kw, acc);
  }
  StorePlanes(acc, args.out, args.outRow, args.outAt, args.activation);
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
inline void ForPlaneRows(const PlanesRowsArgs& args) {
  if (args.rows == kRows) {
    ForPlaneRowVecs<kRows, kPlaneRowVecs>(args);
  } else if constexpr (kRows > 1) {
    ForPlaneRows<kRows - 1>(args);
  }
}

void PlanesRows(const PlanesRowsArgs& args) { ForPlaneRows<kPlaneRows>(args); }

}  // namespace
}  // namespace xcorr::XCORR_ISA
