// The two ends of Winograd's minimal filtering F(m, r) of rows and columns, m outputs of a kernel of r taps from n = m + r - 1 inputs: tiles of inputs to
// coefficients, and coefficients to outputs. What lies between, a matrix product per coefficient, is the tile kernel's (convTile.h).
//
//   Y = A^T [ (G g G^T) * (B^T d B) ] A,     A, B, G from the points +-p, ..., 0, infinity of winogradPoints.h
//
// An axis on which the kernel has one tap is left as it is (n = m = 1). A kernel of r - 1 taps has the same transform without the coefficient of
// infinity, which needs one input less. Toom-Cook with other points than usual: Barabasz et al. 2018 (arXiv:1803.10986); minimal filtering for
// convolution: Lavin and Gray 2015 (arXiv:1509.09308).
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// What the transforms of n inputs multiply with: the powers of the points, and per pair +-p the coefficients of the product of x^2 - q^2 over the other
// pairs +-q, lowest power of x^2 first; under `all` over all pairs.
struct Polynomial {
  float at[4];
};
template <int kN>
constexpr Polynomial ProductOfPairs(int leftOut) {
  double c[4] = {1, 0, 0, 0};
  for (int pair = 0; pair < WinogradPairs(kN); ++pair) {
    if (pair == leftOut) continue;
    const double square = WinogradPoint(kN, pair) * WinogradPoint(kN, pair);
    for (int i = 3; i >= 0; --i) c[i] = (i > 0 ? c[i - 1] : 0) - square * c[i];
  }
  return {{static_cast<float>(c[0]), static_cast<float>(c[1]), static_cast<float>(c[2]), static_cast<float>(c[3])}};
}
constexpr float Power(int n, int pair, int exponent) {
  double power = 1;
  for (int i = 0; i < exponent; ++i) power *= WinogradPoint(n, pair);
  return static_cast<float>(power);
}
template <int kN>
struct WinogradConstants {
  static constexpr Polynomial all = ProductOfPairs<kN>(-1);
  static constexpr Polynomial others[3] = {ProductOfPairs<kN>(0), ProductOfPairs<kN>(1), ProductOfPairs<kN>(2)};
  static constexpr float powers[3][4] = {{1, Power(kN, 0, 1), Power(kN, 0, 2), Power(kN, 0, 3)},
                                         {1, Power(kN, 1, 1), Power(kN, 1, 2), Power(kN, 1, 3)},
                                         {1, Power(kN, 2, 1), Power(kN, 2, 2), Power(kN, 2, 3)}};
};

// The sum of kTerms values, every second of d, times the coefficients of a polynomial whose highest is 1.
template <int kTerms, typename V>
inline V EverySecond(const Polynomial& c, const V* d) {
  V sum = d[2 * (kTerms - 1)];
#pragma GCC unroll 4
  for (int i = kTerms - 2; i >= 0; --i) sum = MulAdd(Set<V>(c.at[i]), d[2 * i], sum);
  return sum;
}

// One dimension of B^T d: n values to n, or n - 1 to as many. The points are symmetric, so that those of a pair share their even and odd parts.
template <int kN, int kKept, typename V>
inline void WinogradIn(const V* d, V* t) {
  if constexpr (kN == 1) {
    t[0] = d[0];
  } else {
    constexpr int kPairs = WinogradPairs(kN), kZero = WinogradHasZero(kN) ? 1 : 0;
    using Constants = WinogradConstants<kN>;
    if constexpr (kZero == 1) t[0] = EverySecond<kPairs + 1>(Constants::all, d);
    if constexpr (kKept == kN) t[kN - 1] = EverySecond<kPairs + 1>(Constants::all, d + kZero);
#pragma GCC unroll 3
    for (int pair = 0; pair < kPairs; ++pair) {
      const V alone = EverySecond<kPairs>(Constants::others[pair], d + kZero + 1);
      V byPoint = EverySecond<kPairs>(Constants::others[pair], d + kZero);
      if (Constants::powers[pair][1] != 1) byPoint = Mul(Set<V>(Constants::powers[pair][1]), byPoint);
      t[kZero + 2 * pair] = Add(alone, byPoint);
      t[kZero + 2 * pair + 1] = Sub(alone, byPoint);
    }
  }
}

// One dimension of A^T c: n coefficients to m outputs.
template <int kN, int kM, typename V>
inline void WinogradOut(const V* c, V* y) {
  if constexpr (kN == 1) {
    y[0] = c[0];
  } else {
    constexpr int kPairs = WinogradPairs(kN), kZero = WinogradHasZero(kN) ? 1 : 0;
    V sum[kPairs], difference[kPairs];
#pragma GCC unroll 3
    for (int pair = 0; pair < kPairs; ++pair) {
      sum[pair] = Add(c[kZero + 2 * pair], c[kZero + 2 * pair + 1]);
      difference[pair] = Sub(c[kZero + 2 * pair], c[kZero + 2 * pair + 1]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < kM; ++j) {
      V total = j == 0 && kZero == 1 ? c[0] : j == kM - 1 ? c[kN - 1] : Set<V>(0.0f);
#pragma GCC unroll 3
      for (int pair = 0; pair < kPairs; ++pair) {
        const float power = WinogradConstants<kN>::powers[pair][j];
        const V part = j % 2 == 0 ? sum[pair] : difference[pair];
        total = power == 1 ? Add(total, part) : MulAdd(Set<V>(power), part, total);
      }
      y[j] = total;
    }
  }
}

// B^T d B for what `load(row, column)` gives; coefficient i of n x n goes to out + i * step.
template <int kRows, int kRowsKept, int kColumns, int kColumnsKept, typename V, typename L>
inline void TransformInput(L load, float* out, ptrdiff_t step) {
  V half[kRowsKept][kColumnsKept];
#pragma GCC unroll 8
  for (int x = 0; x < kColumnsKept; ++x) {
    V column[kRowsKept], t[kRowsKept];
#pragma GCC unroll 8
    for (int y = 0; y < kRowsKept; ++y) column[y] = load(y, x);
    WinogradIn<kRows, kRowsKept>(column, t);
#pragma GCC unroll 8
    for (int y = 0; y < kRowsKept; ++y) half[y][x] = t[y];
  }
#pragma GCC unroll 8
  for (int y = 0; y < kRowsKept; ++y) {
    V t[kColumnsKept];
    WinogradIn<kColumns, kColumnsKept>(half[y], t);
#pragma GCC unroll 8
    for (int x = 0; x < kColumnsKept; ++x) Store(t[x], out + (y * kColumns + x) * step);
  }
}

template <int kRows, int kRowsKept, int kColumns, int kColumnsKept>
void InputTiles(const WinogradInputArgs& args) {
  int i = 0;
#if defined(__AVX512F__)
  // Two tiles at a time, one in each half: neighbours in the output, wherever they come from.
  for (; i + 2 <= args.count; i += 2) {
    const WinogradTile a = args.tiles[i], b = args.tiles[i + 1];
    TransformInput<kRows, kRowsKept, kColumns, kColumnsKept, Vec>(
        [&](int y, int x) { return Combine(Load<Vec8>(a.at + y * a.row + x * a.pixel), Load<Vec8>(b.at + y * b.row + x * b.pixel)); }, args.out + i * 8,
        args.outCoefficient);
  }
#endif
  for (; i < args.count; ++i) {
    const WinogradTile a = args.tiles[i];
    TransformInput<kRows, kRowsKept, kColumns, kColumnsKept, Vec8>([&](int y, int x) { return Load<Vec8>(a.at + y * a.row + x * a.pixel); }, args.out + i * 8,
                                                                   args.outCoefficient);
  }
}

// Finds the instance for n and what is kept on each axis. Two axes of more than one tap are alike.
template <int kRows, int kColumns>
void ForKept(const WinogradInputArgs& args) {
  constexpr int kFewerRows = kRows > 1 ? kRows - 1 : 1, kFewerColumns = kColumns > 1 ? kColumns - 1 : 1;
  if (args.kept[0] == kRows) {
    args.kept[1] == kColumns ? InputTiles<kRows, kRows, kColumns, kColumns>(args) : InputTiles<kRows, kRows, kColumns, kFewerColumns>(args);
  } else {
    args.kept[1] == kColumns ? InputTiles<kRows, kFewerRows, kColumns, kColumns>(args) : InputTiles<kRows, kFewerRows, kColumns, kFewerColumns>(args);
  }
}

void WinogradInput(const WinogradInputArgs& args) {
  switch (args.n[0] * 16 + args.n[1]) {
    case 0x33: return ForKept<3, 3>(args);
    case 0x44: return ForKept<4, 4>(args);
    case 0x55: return ForKept<5, 5>(args);
    case 0x66: return ForKept<6, 6>(args);
    case 0x77: return ForKept<7, 7>(args);
    case 0x16: return ForKept<1, 6>(args);
    case 0x61: return ForKept<6, 1>(args);
    case 0x18: return ForKept<1, 8>(args);
    case 0x81: return ForKept<8, 1>(args);
  }
}

template <int kRowsN, int kRowsM, int kColumnsN, int kColumnsM>
void OutputTile(const WinogradOutputArgs& args) {
  const bool clips = Clips(args.activation);
  const Vec low = Set<Vec>(args.activation.a), high = Set<Vec>(args.activation.b), zero = Set<Vec>(0.0f);
  const int vecs = (args.blocks * 8 + kLanes - 1) / kLanes;
  for (int v = 0; v < vecs; ++v) {
    const float* in = args.in + v * kLanes;
    Vec half[kRowsM][kColumnsN];
#pragma GCC unroll 8
    for (int x = 0; x < kColumnsN; ++x) {
      Vec column[kRowsN], y[kRowsM];
#pragma GCC unroll 8
      for (int i = 0; i < kRowsN; ++i) column[i] = Load<Vec>(in + (i * kColumnsN + x) * args.inCoefficient);
      WinogradOut<kRowsN, kRowsM>(column, y);
#pragma GCC unroll 8
      for (int i = 0; i < kRowsM; ++i) half[i][x] = y[i];
    }
    const Vec bias = Load<Vec>(args.bias + v * kLanes);
    Vec poison = Load<Vec>(args.poison);
#pragma GCC unroll 8
    for (int i = 0; i < kRowsM; ++i) {
      Vec y[kColumnsM];
      WinogradOut<kColumnsN, kColumnsM>(half[i], y);
      if (i >= args.rows) break;
#pragma GCC unroll 8
      for (int j = 0; j < kColumnsM; ++j) {
        if (j >= args.columns) break;
        poison = MulAdd(zero, y[j], poison);
        Vec r = Add(y[j], bias);
        const ptrdiff_t at = i * args.outRow + j * args.outPixel;
        if (args.residual) r = Add(r, LoadChannels(args.residual + at, args.outBlock, v, args.blocks));
        if (clips) r = Min(high, Max(low, r));
        StoreChannels(r, args.out + at, args.outBlock, v, args.blocks);
      }
    }
    Store(poison, args.poison);
  }
  if (IsRare(args.activation)) ActivatePixels(args.out, args.blocks, args.outBlock, args.rows, args.outRow, args.columns, args.outPixel, args.activation);
}

void WinogradOutput(const WinogradOutputArgs& args) {
  switch (args.n[0] * 16 + args.n[1]) {
    case 0x33: return OutputTile<3, 2, 3, 2>(args);
    case 0x44: return OutputTile<4, 2, 4, 2>(args);
    case 0x55: return args.m[0] == 4 ? OutputTile<5, 4, 5, 4>(args) : OutputTile<5, 2, 5, 2>(args);
    case 0x66: return args.m[0] == 4 ? OutputTile<6, 4, 6, 4>(args) : OutputTile<6, 2, 6, 2>(args);
    case 0x77: return OutputTile<7, 4, 7, 4>(args);
    case 0x16: return args.m[1] == 4 ? OutputTile<1, 1, 6, 4>(args) : OutputTile<1, 1, 6, 2>(args);
    case 0x61: return args.m[0] == 4 ? OutputTile<6, 4, 1, 1>(args) : OutputTile<6, 2, 1, 1>(args);
    case 0x18: return args.m[1] == 4 ? OutputTile<1, 1, 8, 4>(args) : OutputTile<1, 1, 8, 2>(args);
    case 0x81: return args.m[0] == 4 ? OutputTile<8, 4, 1, 1>(args) : OutputTile<8, 2, 1, 1>(args);
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
