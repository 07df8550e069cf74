// A convolution of blocked images to few output channels, lanes along the input channels: where outputs as lanes would leave most of a vector empty.
//
// A tile of kPixels pixels x kOuts outputs stays in registers as sums by lanes, which are added up in the end, eight sums at a time:
//
//   for tap:  for output o:  w = weights[tap][o];  for pixel p:  acc[p][o] += in[p * inPixel + tap] * w
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

constexpr int kDotOuts = 4;
// Pixels of a tile: sums that fit into 16 registers beside the weights, and enough of them to keep the adders busy.
constexpr int DotPixels(int outs) { return outs == 1 ? 8 : outs == 2 ? 6 : outs == 3 ? 4 : 3; }

// Lane i of the result is the sum of vector i's lanes.
[[gnu::always_inline]] inline Vec8 SumLanes(Vec8 (&v)[8]) {
  Transpose(v);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) v[i] = Add(v[i], v[i + 4]);
  return Add(Add(v[0], v[2]), Add(v[1], v[3]));
}

template <int kOuts, int kPixels>
void DotsTile(const DotsArgs& args, int64_t pixel) {
  constexpr int kSums = kOuts * kPixels, kVectors = (kSums + 7) / 8 * 8;
  const float* in = args.in + pixel * args.inPixel;
  const ptrdiff_t step = args.inPixel;
  Vec8 acc[kPixels][kOuts];
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 4
    for (int o = 0; o < kOuts; ++o) acc[p][o] = Set<Vec8>(0.0f);
  }
  const float* w = args.weights;
  const ptrdiff_t* tap = args.taps;
  for (int64_t t = args.tapCount; t > 0; --t, ++tap, w += kOuts * 8) {
    Vec8 weight[kOuts];
#pragma GCC unroll 4
    for (int o = 0; o < kOuts; ++o) weight[o] = Load<Vec8>(w + o * 8);
    const float* from = in + *tap;
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      const Vec8 x = Load<Vec8>(from + p * step);
#pragma GCC unroll 4
      for (int o = 0; o < kOuts; ++o) acc[p][o] = MulAdd(x, weight[o], acc[p][o]);
    }
  }
  // Sum p * kOuts + o is that of pixel p and output o.
  float sums[kVectors];
#pragma GCC unroll 2
  for (int first = 0; first < kVectors; first += 8) {
    Vec8 some[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) some[i] = first + i < kSums ? acc[(first + i) / kOuts][(first + i) % kOuts] : Set<Vec8>(0.0f);
    Store(SumLanes(some), sums + first);
  }
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 4
    for (int o = 0; o < kOuts; ++o) {
      const ptrdiff_t at = o * args.outPlane + (pixel + p) * args.outPixel;
      sums[p * kOuts + o] += args.bias[o] + (args.residual ? args.residual[at] : 0.0f);
    }
  }
  if (args.activation.kind != ActivationKind::kNone) ActivateRuns(sums, 1, 0, kVectors, args.activation);
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 4
    for (int o = 0; o < kOuts; ++o) args.out[o * args.outPlane + (pixel + p) * args.outPixel] = sums[p * kOuts + o];
  }
}

// The last tile makes some pixels of the one before again. A row shorter than a tile goes pixel by pixel.
template <int kOuts, int kPixels>
void DotsRow(const DotsArgs& args) {
  if constexpr (kPixels > 1) {
    if (args.pixels < kPixels) return DotsRow<kOuts, 1>(args);
  }
  for (int64_t p = 0; p < args.pixels; p += kPixels) DotsTile<kOuts, kPixels>(args, p + kPixels <= args.pixels ? p : args.pixels - kPixels);
}

template <int kOuts = kDotOuts>
void DotsOf(const DotsArgs& args) {
  if constexpr (kOuts > 1) {
    if (args.outs < kOuts) return DotsOf<kOuts - 1>(args);
  }
  DotsRow<kOuts, DotPixels(kOuts)>(args);
}

void Dots(const DotsArgs& args) { DotsOf(args); }

}  // namespace
}  // namespace xcorr::XCORR_ISA
