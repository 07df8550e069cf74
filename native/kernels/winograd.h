// The two ends of Winograd's minimal filtering F(m x m, 3 x 3), m = 4 or 2: tiles of n x n inputs, n = m + 2, to n * n coefficients, and
// coefficients to m x m outputs. What lies between, a matrix product per coefficient, is the tile kernel's (convTile.h).
//
//   Y = A^T [ (G g G^T) * (B^T d B) ] A,     A, B, G from the points 0, +-5/8, +-3/2, infinity (m = 4) or 0, +-1, infinity (m = 2)
//
// Points decide the rounding error; these are exact in float, and symmetric, so that even and odd parts share work. Toom-Cook with other points:
// Barabasz et al. 2018 (arXiv:1803.10986); minimal filtering for convolution: Lavin and Gray 2015 (arXiv:1509.09308).
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// One dimension of B^T d: n values to n.
template <typename V>
inline void WinogradIn4(const V* d, V* t) {
  constexpr float a = 5.0f / 8, b = 3.0f / 2, aa = a * a, bb = b * b;
  const V minusSum = Set<V>(-(aa + bb)), product = Set<V>(aa * bb);
  const V evenA = MulAdd(Set<V>(-bb), d[2], d[4]), oddA = Mul(Set<V>(a), MulAdd(Set<V>(-bb), d[1], d[3]));
  const V evenB = MulAdd(Set<V>(-aa), d[2], d[4]), oddB = Mul(Set<V>(b), MulAdd(Set<V>(-aa), d[1], d[3]));
  t[0] = MulAdd(product, d[0], MulAdd(minusSum, d[2], d[4]));
  t[1] = Add(evenA, oddA);
  t[2] = Sub(evenA, oddA);
  t[3] = Add(evenB, oddB);
  t[4] = Sub(evenB, oddB);
  t[5] = MulAdd(product, d[1], MulAdd(minusSum, d[3], d[5]));
}

template <typename V>
inline void WinogradIn2(const V* d, V* t) {
  t[0] = Sub(d[2], d[0]);
  t[1] = Add(d[1], d[2]);
  t[2] = Sub(d[2], d[1]);
  t[3] = Sub(d[3], d[1]);
}

// One dimension of A^T m: n values to m.
template <typename V>
inline void WinogradOut4(const V* m, V* y) {
  constexpr float a = 5.0f / 8, b = 3.0f / 2;
  const V sumA = Add(m[1], m[2]), differenceA = Sub(m[1], m[2]);
  const V sumB = Add(m[3], m[4]), differenceB = Sub(m[3], m[4]);
  y[0] = Add(m[0], Add(sumA, sumB));
  y[1] = MulAdd(Set<V>(b), differenceB, Mul(Set<V>(a), differenceA));
  y[2] = MulAdd(Set<V>(b * b), sumB, Mul(Set<V>(a * a), sumA));
  y[3] = MulAdd(Set<V>(b * b * b), differenceB, MulAdd(Set<V>(a * a * a), differenceA, m[5]));
}

template <typename V>
inline void WinogradOut2(const V* m, V* y) {
  y[0] = Add(m[0], Add(m[1], m[2]));
  y[1] = Add(Sub(m[1], m[2]), m[3]);
}

template <int kM, typename V>
inline void WinogradIn(const V* d, V* t) {
  if constexpr (kM == 4) WinogradIn4(d, t);
  else WinogradIn2(d, t);
}
template <int kM, typename V>
inline void WinogradOut(const V* m, V* y) {
  if constexpr (kM == 4) WinogradOut4(m, y);
  else WinogradOut2(m, y);
}

// B^T d B for what `load(row, column)` gives; coefficient i goes to out + i * step.
template <int kM, typename V, typename L>
inline void TransformInput(L load, float* out, ptrdiff_t step) {
  constexpr int n = kM + 2;
  V half[n][n];
#pragma GCC unroll 8
  for (int x = 0; x < n; ++x) {
    V column[n], t[n];
#pragma GCC unroll 8
    for (int y = 0; y < n; ++y) column[y] = load(y, x);
    WinogradIn<kM>(column, t);
#pragma GCC unroll 8
    for (int y = 0; y < n; ++y) half[y][x] = t[y];
  }
#pragma GCC unroll 8
  for (int y = 0; y < n; ++y) {
    V t[n];
    WinogradIn<kM>(half[y], t);
#pragma GCC unroll 8
    for (int x = 0; x < n; ++x) Store(t[x], out + (y * n + x) * step);
  }
}

template <int kM>
void InputTiles(const WinogradInputArgs& args) {
  int i = 0;
#if defined(__AVX512F__)
  // Two tiles at a time, one in each half: neighbours in the output, wherever they come from.
  for (; i + 2 <= args.count; i += 2) {
    const WinogradTile a = args.tiles[i], b = args.tiles[i + 1];
    TransformInput<kM, Vec>([&](int y, int x) { return Combine(Load<Vec8>(a.at + y * a.row + x * 8), Load<Vec8>(b.at + y * b.row + x * 8)); },
                            args.out + i * 8, args.outCoefficient);
  }
#endif
  for (; i < args.count; ++i) {
    const WinogradTile a = args.tiles[i];
    TransformInput<kM, Vec8>([&](int y, int x) { return Load<Vec8>(a.at + y * a.row + x * 8); }, args.out + i * 8, args.outCoefficient);
  }
}

void WinogradInput(const WinogradInputArgs& args) {
  if (args.m == 4) InputTiles<4>(args);
  else InputTiles<2>(args);
}

template <int kM>
void OutputTile(const WinogradOutputArgs& args) {
  constexpr int n = kM + 2;
  const bool clips = args.activation.kind == ActivationKind::kClip && !args.activation.affine;
  const bool other = args.activation.kind != ActivationKind::kNone && !clips;
  const Vec low = Set<Vec>(args.activation.a), high = Set<Vec>(args.activation.b), zero = Set<Vec>(0.0f);
  const int vecs = (args.blocks * 8 + kLanes - 1) / kLanes;
  for (int v = 0; v < vecs; ++v) {
    const float* in = args.in + v * kLanes;
    Vec half[kM][n];
#pragma GCC unroll 8
    for (int x = 0; x < n; ++x) {
      Vec column[n], y[kM];
#pragma GCC unroll 8
      for (int i = 0; i < n; ++i) column[i] = Load<Vec>(in + (i * n + x) * args.inCoefficient);
      WinogradOut<kM>(column, y);
#pragma GCC unroll 8
      for (int i = 0; i < kM; ++i) half[i][x] = y[i];
    }
    const Vec bias = Load<Vec>(args.bias + v * kLanes);
    Vec poison = Load<Vec>(args.poison);
#pragma GCC unroll 8
    for (int i = 0; i < kM; ++i) {
      Vec y[kM];
      WinogradOut<kM>(half[i], y);
      if (i >= args.rows) break;
#pragma GCC unroll 8
      for (int j = 0; j < kM; ++j) {
        if (j >= args.columns) break;
        poison = MulAdd(zero, y[j], poison);
        Vec r = Add(y[j], bias);
        const ptrdiff_t at = i * args.outRow + j * 8;
        if (args.residual) r = Add(r, LoadChannels(args.residual + at, args.outBlock, v, args.blocks));
        if (clips) r = Min(high, Max(low, r));
        StoreChannels(r, args.out + at, args.outBlock, v, args.blocks);
      }
    }
    Store(poison, args.poison);
  }
  if (!other) return;
  for (int block = 0; block < args.blocks; ++block) {
    for (int i = 0; i < args.rows; ++i) ActivateRun(args.out + block * args.outBlock + i * args.outRow, args.columns * 8, args.activation);
  }
}

void WinogradOutput(const WinogradOutputArgs& args) {
  if (args.m == 4) OutputTile<4>(args);
  else OutputTile<2>(args);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
