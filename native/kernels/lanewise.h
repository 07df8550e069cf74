// Convolutions in which every lane has weights of its own: depthwise, and groups of few channels that lie within a block of 8.
//
// Columns of the input go by one after another; each is loaded once and added to the outputs that it belongs to, so that
// kernel width / stride outputs per row are open at a time, in registers, for some rows at once:
//
//   for column x:  load x of every row;  for output o with x in its window:  acc[o][row] += x * weights[x's place in the window];  store what is complete
//
// Outside of the image there is nothing to add: no padding, no edges. A 3x3 kernel on four rows does 36 multiply-adds on 6 loads.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// The channels that go together: two blocks in the 16 lanes of AVX-512, else one.
#if defined(__AVX512F__)
using PanelVec = Vec;
constexpr int kPanelBlocks = 2;
inline Vec LoadPanel(const float* first, const float* second) { return Combine(Load<Vec8>(first), Load<Vec8>(second)); }
inline void StoreFirst(Vec x, float* p) { Store(LowHalf(x), p); }
inline void StoreSecond(Vec x, float* p) { Store(HighHalf(x), p); }
#else
using PanelVec = Vec8;
constexpr int kPanelBlocks = 1;
inline Vec8 LoadPanel(const float* first, const float*) { return Load<Vec8>(first); }
inline void StoreFirst(Vec8 x, float* p) { Store(x, p); }
inline void StoreSecond(Vec8, float*) {}
#endif
constexpr int kPanelLanes = kPanelBlocks * 8;
// Output rows of a 3x3 kernel at once: enough to keep the adders busy while each sum waits for itself, and what fits into the registers.
#if defined(__AVX512F__)
constexpr int kMostRows = 4;
#elif defined(__AVX2__) || defined(__ARM_NEON)
constexpr int kMostRows = 3;
#else
constexpr int kMostRows = 1;
#endif

inline PanelVec LoadPanel(const float* p, ptrdiff_t second) { return LoadPanel(p, p + second); }

// The compiler is not to know where an address comes from: it would keep one more for every number that is read from there, in vector registers if
// no others are left.
template <typename T>
inline void Opaque(T*& p) {
#if defined(__GNUC__)
  __asm__("" : "+r"(p));
#else
  (void)p;
#endif
}

// Sums, a column and more stay in registers together: what follows does for all rows at once. With half as many, it goes row by row.
constexpr bool kRowsTogether = kMostRows == 4;

// What is done to sums before they are stored: the residual, and limits; other activations come later.
constexpr float kNoLimits[2] = {-__builtin_inff(), __builtin_inff()};
class Finish {
 public:
  explicit Finish(const LanewiseArgs& a)
      : residual_(a.residual), out_(a.out), outRow_(a.outRow), second_(a.outSecond),
        clips_(Clips(a.activation)), low_(clips_ ? &a.activation.a : &kNoLimits[0]),
        high_(clips_ ? &a.activation.b : &kNoLimits[1]) {}

  void OneRow(PanelVec y, int64_t at) const {
    if (residual_) y = Add(y, LoadPanel(residual_ + at, second_));
    if (clips_) y = Limited(y);
    StoreFirst(y, out_ + at);
    if (second_ != 0) StoreSecond(y, out_ + at + second_);
  }

  void OneBlock(Vec8 y, int64_t at) const {
    if (residual_) y = Add(y, Load<Vec8>(residual_ + at));
    if (clips_) y = Limited(y);
    Store(y, out_ + at);
  }

  // y[r]: of row r, at `at` of each; not needed any more. Where there are no limits, they are infinite: what lies between costs nothing beside
  // multiply-adds, and a branch would.
  template <int kRows>
  void AllRows(PanelVec (&y)[kRows], int64_t at) const {
    if (residual_) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) y[r] = Add(y[r], LoadPanel(residual_ + at + r * outRow_, second_));
    }
    float* const to = out_ + at;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) y[r] = Limited(y[r]);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) StoreFirst(y[r], to + r * outRow_);
    if (second_ == 0) return;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) StoreSecond(y[r], to + second_ + r * outRow_);
  }

 private:
  template <typename V>
  V Limited(V y) const { return Min(Set<V>(*high_), Max(Set<V>(*low_), y)); }

  const float* residual_;
  float* out_;
  ptrdiff_t outRow_, second_;
  bool clips_;
  const float *low_, *high_;  // read when they are needed: kept in registers, they would push others out
};

// Adds one column, of which load(i) is row i, to the outputs that are open: to acc[o] with column kColumn - o * kStride of the kernel.
template <int kRows, int kKernel, int kStride, bool kPermuted, int kColumn, int kOpen, typename Load, typename Weight>
[[gnu::always_inline]] inline void AddColumn(const LanewiseArgs& args, const Load& load, const Weight& weight, PanelVec (&acc)[kOpen][kRows]) {
  constexpr int kInRows = (kRows - 1) * kStride + kKernel;
  const float* weights = args.weights;
  for (int u = 0; u < (kPermuted ? args.units : 1); ++u, weights += kKernel * kKernel * kPanelLanes) {
    PanelVec x[kInRows];
#pragma GCC unroll 16
    for (int i = 0; i < kInRows; ++i) x[i] = kPermuted ? Permute(load(i), args.places + u * kPanelLanes) : load(i);
#pragma GCC unroll 8
    for (int i = 0; i < kKernel; ++i) {
#pragma GCC unroll 8
      for (int o = 0; o < kOpen; ++o) {
        const int j = kColumn - o * kStride;
        if (j < 0 || j >= kKernel) continue;
        const PanelVec w = weight(weights, i * kKernel + j);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) acc[o][r] = MulAdd(x[r * kStride + i], w, acc[o][r]);
      }
    }
  }
}

// Whether all weights of a kernel stay in registers beside the sums and a column: of 3x3, in 32 registers.
template <int kKernel, bool kPermuted>
constexpr bool kKeepsWeights = kRowsTogether && kKernel == 3 && !kPermuted;

// A square kernel. kPermuted: of each unit of input channels in turn, the one that args.places names for a lane. kWhole: all rows of taps lie inside.
// kPixel: the distance of neighbours, if it is known.
template <int kRows, int kKernel, int kStride, bool kPermuted, bool kWhole, int kPixel>
void SlideRows(const LanewiseArgs& args) {
  static_assert((kKernel - 1) % kStride == 0, "an output is complete after the first column of the newest");
  constexpr int kInRows = (kRows - 1) * kStride + kKernel;
  constexpr int kOpen = (kKernel - 1) / kStride + 1;
  constexpr int kTaps = kKernel * kKernel;
  const float *first[kInRows], *second[kInRows];
  for (int i = 0; !kWhole && i < kInRows; ++i) {
    const bool inside = i >= args.rowBegin && i < args.rowEnd;
    first[i] = inside ? args.in + i * args.inRow : args.zeros;
    second[i] = inside ? first[i] + args.inSecond : args.zeros;
  }
  const float *const *firsts = first, *const *seconds = second;
  Opaque(firsts);
  Opaque(seconds);
  PanelVec kept[kTaps];
#pragma GCC unroll 16
  for (int t = 0; kKeepsWeights<kKernel, kPermuted> && t < kTaps; ++t) kept[t] = Load<PanelVec>(args.weights + t * kPanelLanes);
  const auto weight = [&](const float* weights, int t) { return kKeepsWeights<kKernel, kPermuted> ? kept[t] : Load<PanelVec>(weights + t * kPanelLanes); };
  const ptrdiff_t inRow = args.inRow, inSecond = args.inSecond, outRow = args.outRow, pixel = kPixel > 0 ? kPixel : args.pixel;
  int64_t column = -args.left;
  // With many rows, every third has an address of its own, and the others are reached from it: the machine has 16 registers for addresses.
  const float* thirds[(kInRows + 2) / 3];
  const auto load = [&](int i) {
    if (!kWhole) return LoadPanel(firsts[i] + column * pixel, seconds[i] + column * pixel);
    return LoadPanel(kRowsTogether ? thirds[i / 3] + i % 3 * inRow : args.in + column * pixel + i * inRow, inSecond);
  };
  const auto moveTo = [&] {
#pragma GCC unroll 8
    for (int k = 0; kWhole && kRowsTogether && k < (kInRows + 2) / 3; ++k) {
      thirds[k] = args.in + column * pixel + 3 * k * inRow;
      Opaque(thirds[k]);
    }
  };
  const Finish finish(args);
  PanelVec acc[kOpen][kRows];
#pragma GCC unroll 8
  for (int o = 0; o < kOpen; ++o) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) acc[o][r] = Load<PanelVec>(args.bias);
  }
  // The first columns complete outputs that do not exist.
  for (int64_t output = 1 - kOpen; output < args.pixels; ++output) {
    if (column >= 0 && column < args.columns) {
      moveTo();
      AddColumn<kRows, kKernel, kStride, kPermuted, kKernel - 1>(args, load, weight, acc);
    }
    ++column;
    if (kRowsTogether && output >= 0) finish.AllRows(acc[0], output * pixel);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      if (!kRowsTogether && output >= 0) finish.OneRow(acc[0][r], r * outRow + output * pixel);
#pragma GCC unroll 8
      for (int o = 0; o + 1 < kOpen; ++o) acc[o][r] = acc[o + 1][r];
      acc[kOpen - 1][r] = Load<PanelVec>(args.bias);
    }
    if constexpr (kStride == 2) {
      if (column >= 0 && column < args.columns) {
        moveTo();
        AddColumn<kRows, kKernel, kStride, kPermuted, kKernel - 2>(args, load, weight, acc);
      }
      ++column;
    }
  }
}

// Any kernel, one row of kBlocks blocks from `block` on, on an image that reaches as far to the sides as the kernel does: kPixels outputs from `output` on. Each product
// loads what it multiplies; two blocks in one vector would have to be put together each time.
template <int kPixels, int kBlocks, bool kPermuted>
void AnyPixels(const LanewiseArgs& args, int64_t output, int block) {
  const Finish finish(args);
  const ptrdiff_t step = args.stride * args.pixel, dilation = args.dilation * args.pixel, inSecond = args.inSecond;
  Vec8 acc[kBlocks][kPixels];
#pragma GCC unroll 2
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p) acc[b][p] = Load<Vec8>(args.bias + (block + b) * 8);
  }
  const int rowBegin = args.rowBegin > 0 ? args.rowBegin : 0, rowEnd = args.rowEnd < args.kernelRows ? args.rowEnd : args.kernelRows;
  const float* first = args.in + block * inSecond + output * step;
  for (int u = 0; u < (kPermuted ? args.units : 1); ++u) {
    const int32_t* places = kPermuted ? args.places + u * kPanelLanes + block * 8 : nullptr;
    const float* weights = args.weights + (u * args.kernelRows + rowBegin) * args.kernelColumns * kPanelLanes + block * 8;
    for (int i = rowBegin; i < rowEnd; ++i) {
      const float* in = first + i * args.inRow;
      for (int j = 0; j < args.kernelColumns; ++j, in += dilation, weights += kPanelLanes) {
#pragma GCC unroll 2
        for (int b = 0; b < kBlocks; ++b) {
          const Vec8 w = Load<Vec8>(weights + b * 8);
          const float* next = in + b * inSecond;
#pragma GCC unroll 16
          for (int p = 0; p < kPixels; ++p, next += step) {
            Opaque(next);
            const Vec8 x = Load<Vec8>(next);
            acc[b][p] = MulAdd(kPermuted ? Permute(x, places + b * 8) : x, w, acc[b][p]);
          }
        }
      }
    }
  }
#pragma GCC unroll 2
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p) finish.OneBlock(acc[b][p], (block + b) * args.outSecond + (output + p) * args.pixel);
  }
}

// Pixels at once: sums that fit into the registers. Fewer than 8 wait for themselves.
constexpr int kMostPixels = kMostRows == 1 ? 6 : kRowsTogether ? 16 : 12;

template <int kBlocks>
struct BlockCount {
  static constexpr int kCount = kBlocks;
};

// A row in as many tiles as it takes; the last one makes some outputs of the one before again.
template <int kPixels, bool kPermuted>
void AnyRow(const LanewiseArgs& args) {
  const auto work = [&](int64_t pixels) { return (args.pixels + pixels - 1) / pixels * (pixels < 8 ? 8 : pixels); };
  if constexpr (kPixels > 1) {
    constexpr int kFewer = kPixels == 16 ? 12 : kPixels == 12 ? 8 : kPixels == 6 ? 4 : kPixels / 2;
    if (args.pixels < kPixels || work(kFewer) < work(kPixels)) return AnyRow<kFewer, kPermuted>(args);
  }
  const auto run = [&](auto blocks, int block) {
    for (int64_t o = 0; o < args.pixels; o += kPixels) {
      AnyPixels<kPixels, decltype(blocks)::kCount, kPermuted>(args, o + kPixels <= args.pixels ? o : args.pixels - kPixels, block);
    }
  };
  if (args.outSecond == 0) return run(BlockCount<1>(), 0);
  // Few pixels of one block would wait for themselves.
  if (kPixels < 8) return run(BlockCount<kPanelBlocks>(), 0);
  for (int block = 0; block < kPanelBlocks; ++block) run(BlockCount<1>(), block);
}

// Finds the instance for a number of rows: kRows, kRows - 1, ... 1.
template <int kRows, int kKernel, int kStride, bool kPermuted>
inline void ForRows(const LanewiseArgs& args) {
  if constexpr (kRows > 1) {
    if (args.rows < kRows) return ForRows<kRows - 1, kKernel, kStride, kPermuted>(args);
  }
  const bool whole = args.rowBegin <= 0 && args.rowEnd >= (kRows - 1) * kStride + kKernel;
  if (args.pixel == 8) {
    if (whole) SlideRows<kRows, kKernel, kStride, kPermuted, true, 8>(args);
    else SlideRows<kRows, kKernel, kStride, kPermuted, false, 8>(args);
  } else if constexpr (kStride == 1) {
    // Tracks.
    if (whole) SlideRows<kRows, kKernel, kStride, kPermuted, true, 0>(args);
    else SlideRows<kRows, kKernel, kStride, kPermuted, false, 0>(args);
  }
}

// Most rows at once: what fits into the registers, of the kernels that have instances (Slide); of others 0.
constexpr int MostRows(int kernel, int stride, bool permuted) {
  if (kernel == 3) return kMostRows == 3 && permuted ? 2 : kMostRows;
  if (permuted) return 0;
  if (kernel == 5) return kMostRows == 1 ? 1 : kRowsTogether ? 4 : 2;
  return kernel == 7 && stride == 1 ? (kRowsTogether ? 2 : 1) : 0;
}
int LanewiseRows(int kernel, int stride, bool permuted) { return MostRows(kernel, stride, permuted); }

template <bool kPermuted>
inline bool Slide(const LanewiseArgs& args) {
  if (args.kernelRows != args.kernelColumns || !args.evenSteps || args.stride > 2) return false;
  const int kind = static_cast<int>(args.kernelRows * 2 + args.stride);
  if (kind == 3 * 2 + 1) return ForRows<MostRows(3, 1, kPermuted), 3, 1, kPermuted>(args), true;
  if (kind == 3 * 2 + 2) return ForRows<MostRows(3, 2, kPermuted), 3, 2, kPermuted>(args), true;
  if (kPermuted) return false;
  if (kind == 5 * 2 + 1) return ForRows<MostRows(5, 1, false), 5, 1, false>(args), true;
  if (kind == 5 * 2 + 2) return ForRows<MostRows(5, 2, false), 5, 2, false>(args), true;
  if (kind == 7 * 2 + 1) return ForRows<MostRows(7, 1, false), 7, 1, false>(args), true;
  return false;
}

void Lanewise(const LanewiseArgs& args) {
  if (args.places) {
    if (!Slide<true>(args)) AnyRow<kMostPixels, true>(args);
  } else if (!Slide<false>(args)) {
    AnyRow<kMostPixels, false>(args);
  }
  if (!IsRare(args.activation)) return;
  // The rarer activations run over the stored rows.
  ActivatePixels(args.out, args.outSecond ? 2 : 1, args.outSecond, args.rows, args.outRow, args.pixels, args.pixel, args.activation);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
