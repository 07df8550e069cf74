// Convolution of plain images, lanes along the pixels: for few channels, where blocks of 8 channels would be mostly empty.
//
// A tile of kOuts output channels x kVecs vectors of pixels stays in registers; a tap loads the vectors at an offset and multiplies each with one
// weight per output channel:
//
//   for tap:  for vector v:  x = in[inAt[v] + tap ...];  for output o:  acc[o][v] += weights[tap][o] * x
//
// The order of the additions is the order of the taps, as in kernels/convTile.h.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// Most outputs of a tile, and most vectors of a tile with so many outputs: what fits into 32 registers, or 16.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kPlaneOuts = 14;
constexpr int PlaneVecs(int outs) { return outs <= 2 ? 8 : outs == 3 ? 7 : outs <= 6 ? 4 : 2; }
#else
constexpr int kPlaneOuts = 6;
constexpr int PlaneVecs(int outs) { return outs == 1 ? 8 : outs == 2 ? 4 : outs == 3 ? 3 : 2; }
#endif

// Vector v of output o goes to out[o * outPlane + outAt[v]].
template <int kOuts, int kVecs>
[[gnu::always_inline]] inline void StorePlanes(const Vec (&acc)[kOuts][kVecs], float* out, ptrdiff_t outPlane, const ptrdiff_t* outAt, const Activation& activation) {
  const bool clips = Clips(activation);
  const bool other = activation.kind != ActivationKind::kNone && !clips;
  float before[kOuts * kVecs * kLanes];
  // Copies, which no store can change: the places would be read again after each.
  ptrdiff_t at[kVecs];
#pragma GCC unroll 8
  for (int v = 0; v < kVecs; ++v) at[v] = outAt[v];
  const Vec low = Set<Vec>(activation.a), high = Set<Vec>(activation.b);
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) {
      Vec y = acc[o][v];
      if (clips) y = Min(high, Max(low, y));
      if (!other) Store(y, out + o * outPlane + at[v]);
      else Store(y, before + (o * kVecs + v) * kLanes);
    }
  }
  if (!other) return;
  // The rarer activations: their code stays out of the loop above. Vectors may overlap, so none is activated in place.
  for (int o = 0; o < kOuts; ++o) {
    float* made = before + o * kVecs * kLanes;
    ActivateRun({made, made, kVecs * kLanes, UnaryKind::kActivation, activation.Of(o)});
    for (int v = 0; v < kVecs; ++v) Store(Load<Vec>(made + v * kLanes), out + o * outPlane + at[v]);
  }
}

template <int kOuts, int kVecs>
[[gnu::always_inline]] inline void RunPlanesTile(const PlanesTileArgs& args, const ptrdiff_t* inAt, const ptrdiff_t* outAt) {
  const float* in[kVecs];
  for (int v = 0; v < kVecs; ++v) in[v] = args.in + inAt[v];
  Vec acc[kOuts][kVecs];
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) acc[o][v] = Set<Vec>(args.bias[o]);
  }
  const float* w = args.weights;
  const ptrdiff_t* tap = args.taps;
  for (int64_t t = args.tapCount; t > 0; --t, ++tap, w += kOuts) {
    Vec x[kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) x[v] = Load<Vec>(in[v] + *tap);
#pragma GCC unroll 16
    for (int o = 0; o < kOuts; ++o) {
      const Vec weight = Set<Vec>(w[o]);
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[o][v] = MulAdd(x[v], weight, acc[o][v]);
    }
  }
  StorePlanes(acc, args.out, args.outPlane, outAt, args.activation);
}

template <int kOuts, int kVecs>
void RunPlanesTiles(const PlanesTileArgs& args) {
  for (int64_t t = 0; t <= args.more; ++t) RunPlanesTile<kOuts, kVecs>(args, args.inAt + t * kVecs, args.outAt + t * kVecs);
}

// Calls run(PlaneShape<outs, vecs>()) with both as constants.
template <int kOuts, int kVecs>
struct PlaneShape {
  static constexpr int outs = kOuts, vecs = kVecs;
};
template <int kOuts, int kVecs, typename F>
inline void ForPlaneVecs(int vecs, const F& run) {
  if (vecs == kVecs) {
    run(PlaneShape<kOuts, kVecs>());
  } else if constexpr (kVecs > 1) {
    ForPlaneVecs<kOuts, kVecs - 1>(vecs, run);
  }
}
template <int kOuts = kPlaneOuts, typename F>
inline void ForPlaneShape(int outs, int vecs, const F& run) {
  if (outs == kOuts) {
    ForPlaneVecs<kOuts, PlaneVecs(kOuts)>(vecs, run);
  } else if constexpr (kOuts > 1) {
    ForPlaneShape<kOuts - 1>(outs, vecs, run);
  }
}

void PlanesTile(const PlanesTileArgs& args) {
  ForPlaneShape(args.outs, args.vecs, [&](auto shape) { RunPlanesTiles<decltype(shape)::outs, decltype(shape)::vecs>(args); });
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
