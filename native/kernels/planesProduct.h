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

// What changes from tile to tile.
struct ProductPlace {
  const float *in, *next;
  float *copy, *out;
};

// kImage: from the image itself.
template <int kOuts, int kVecs, bool kImage>
[[gnu::always_inline]] inline void RunProduct(const PlanesProductArgs& args, const ProductPlace& place) {
  constexpr int kPixels = kVecs * kLanes;
  Vec acc[kOuts][kVecs];
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) acc[o][v] = Set<Vec>(args.bias[o]);
  }
  // More outputs than the processor foresees by itself.
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) PrefetchPixels<kPixels>(place.out + o * args.outPlane + kPixels);
  const float *in = place.in, *w = args.weights;
  const float *soon = in + args.inAhead * args.inStep, *const end = in + args.channels * args.inStep;
  float* copy = place.copy;
  const float* next = place.next;
  int64_t asks = args.nextCount;
  for (int64_t c = args.channels; c > 0; --c, in += args.inStep, w += kOuts) {
    if constexpr (kImage) {
      // After the last channel comes the next tile's first.
      if (soon >= end) soon = place.in + kPixels;
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
  StorePlanes(acc, place.out, args.outPlane, outAt, args.activation);
}

template <int kOuts, int kVecs, bool kImage>
void RunProducts(const PlanesProductArgs& args) {
  ProductPlace place = {args.in, args.next, args.copy, args.out};
  for (int64_t more = args.more;; --more) {
    RunProduct<kOuts, kVecs, kImage>(args, place);
    if (more == 0) return;
    place.in += args.inTile;
    if (place.next) place.next += kVecs * kLanes;
    if (place.copy) place.copy += args.copyTile;
    place.out += kVecs * kLanes;
  }
}

void PlanesProduct(const PlanesProductArgs& args) {
  ForPlaneShape(args.outs, args.vecs, [&](auto shape) {
    constexpr int kOuts = decltype(shape)::outs, kVecs = decltype(shape)::vecs;
    args.inAhead > 0 ? RunProducts<kOuts, kVecs, true>(args) : RunProducts<kOuts, kVecs, false>(args);
  });
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
