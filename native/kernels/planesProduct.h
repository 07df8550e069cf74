// A 1x1 convolution of plain images is a product of matrices: lanes along the pixels, a weight for each input and output channel.
//
// A tile of kOuts output channels x kVecs vectors of neighbouring pixels stays in registers (planesTile.h says how many):
//
//   for input channel c:  for vector v:  x = in[c * inStep + v ...];  for output o:  acc[o][v] += weights[c][o] * x
//
// From the image itself, input channels lie a plane apart: each is asked for ahead, and the vectors are copied to where other output channels read them
// one after another.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// So many pixels in a row that may begin within a line: the line of the first has been asked for with those before.
template <int kPixels>
[[gnu::always_inline]] inline void PrefetchPixels(const float* at) {
#pragma GCC unroll 8
  for (int i = 15; i < kPixels; i += 16) Prefetch(at + i);
}

// kImage: from the image itself.
template <int kOuts, int kVecs, bool kImage>
void RunProduct(const PlanesProductArgs& args) {
  constexpr int kPixels = kVecs * kLanes;
  Vec acc[kOuts][kVecs];
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) acc[o][v] = Set<Vec>(args.bias[o]);
  }
  // More outputs than the processor foresees by itself.
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) PrefetchPixels<kPixels>(args.out + o * args.outPlane + kPixels);
  const float *in = args.in, *w = args.weights;
  const float *soon = in + args.inAhead * args.inStep, *const end = in + args.channels * args.inStep;
  float* copy = args.copy;
  const float* next = args.next;
  int64_t asks = args.nextCount;
  for (int64_t c = args.channels; c > 0; --c, in += args.inStep, w += kOuts) {
    if constexpr (kImage) {
      // After the last channel comes the next tile's first.
      if (soon >= end) soon = args.in + kPixels;
      PrefetchPixels<kPixels>(soon);
      soon += args.inStep;
    } else if (asks > 0) {
      PrefetchPixels<kPixels>(next);
      next += args.nextStep;
      --asks;
    }
    Vec x[kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) x[v] = Load<Vec>(in + v * kLanes);
    if (kImage && kOuts > 2 && copy) {
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) Store(x[v], copy + v * kLanes);
      copy += kPixels;
    }
#pragma GCC unroll 16
    for (int o = 0; o < kOuts; ++o) {
      const Vec weight = Set<Vec>(w[o]);
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[o][v] = MulAdd(x[v], weight, acc[o][v]);
    }
  }
  ptrdiff_t outAt[kVecs];
  for (int v = 0; v < kVecs; ++v) outAt[v] = v * kLanes;
  StorePlanes(acc, args.out, args.outPlane, outAt, args.activation);
}

template <int kOuts, int kVecs>
inline void ForProductVecs(const PlanesProductArgs& args) {
  if (args.vecs == kVecs) {
    args.inAhead > 0 ? RunProduct<kOuts, kVecs, true>(args) : RunProduct<kOuts, kVecs, false>(args);
  } else if constexpr (kVecs > 1) {
    ForProductVecs<kOuts, kVecs - 1>(args);
  }
}

template <int kOuts>
inline void ForProductOuts(const PlanesProductArgs& args) {
  if (args.outs == kOuts) {
    ForProductVecs<kOuts, PlaneVecs(kOuts)>(args);
  } else if constexpr (kOuts > 1) {
    ForProductOuts<kOuts - 1>(args);
  }
}

void PlanesProduct(const PlanesProductArgs& args) { ForProductOuts<kPlaneOuts>(args); }

}  // namespace
}  // namespace xcorr::XCORR_ISA
