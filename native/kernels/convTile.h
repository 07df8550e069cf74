// The micro-kernel of every dense product: convolution (any kernel, stride, dilation, groups), 1x1, stem, transposed, fully connected.
//
// A tile of kPixels output pixels x kBlocks blocks of 8 output channels stays in registers over the whole reduction, in whole vectors, with half a
// vector where AVX-512 has 8 channels left over; each step broadcasts one input number per pixel and multiplies it with the packed weights:
//
//   for tap: for u < unit:  B = weights;  for pixel i:  acc[i] += in[i * inPixel + tap + u] * B
//
// Per step kPixels * kVecs multiply-adds against kPixels broadcasts and kVecs loads: on AVX-512, 14 x 2 = 28 against 16 loads, with
// 28 + 2 + 1 of 32 registers; on AVX2, 6 x 2 = 12 against 8 loads, with 12 + 2 + 1 of 16.
// The order of the additions is the order of the taps, whatever the tile: results do not depend on where a pixel falls.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kTilePixels = 14;
#elif defined(__ARM_NEON)
constexpr int kTilePixels = 8;
#elif defined(__AVX2__)
constexpr int kTilePixels = 6;
#else
constexpr int kTilePixels = 4;
#endif
// Vectors of channels in a full tile: two, or what makes one block of 8.
constexpr int kTileVecs = kLanes == 1 ? 8 : 2;
constexpr int kTileBlocks = kTileVecs * kLanes / 8;
// A last block is taken along with the two before it on AVX2: 4 x 3 vectors with 12 + 3 + 1 registers, against half the speed in a tile of its own.
constexpr int kWidestBlocks = kTileBlocks == 2 ? 3 : kTileBlocks;
constexpr int TilePixels(int blocks) { return blocks > kTileBlocks ? kTilePixels * kTileBlocks / blocks : kTilePixels; }

// Vector v of a pixel's channels lies in block v * kLanes / 8 from lane v * kLanes % 8; an AVX-512 vector spans two blocks.
inline Vec LoadChannels(const float* p, ptrdiff_t block, int v, int blocks) {
#if defined(__AVX512F__)
  const Vec8 low = Load<Vec8>(p + 2 * v * block);
  return Combine(low, 2 * v + 1 < blocks ? Load<Vec8>(p + (2 * v + 1) * block) : low);
#else
  (void)blocks;
  return Load<Vec>(p + (v * kLanes / 8) * block + v * kLanes % 8);
#endif
}

inline void StoreChannels(Vec x, float* p, ptrdiff_t block, int v, int blocks) {
#if defined(__AVX512F__)
  Store(LowHalf(x), p + 2 * v * block);
  if (2 * v + 1 < blocks) Store(HighHalf(x), p + (2 * v + 1) * block);
#else
  (void)blocks;
  Store(x, p + (v * kLanes / 8) * block + v * kLanes % 8);
#endif
}

// A line of 64 bytes into the second cache. Never faults.
inline void Prefetch(const float* p) {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
#else
  __prefetch(p);
#endif
#else
  __builtin_prefetch(p);
#endif
}

// Where a tile's pixels lie: kListed: wherever args.inAt says; else kInPixel apart, or args.inPixel if that is 0 (a distance known at
// compile time becomes part of the addresses).
constexpr int kListed = -1;

// Whether tiles ask for their own numbers ahead: weights by 16 steps, and with pixels in a row inputs by args.inAhead taps. Weights of more than 32 KB come from the
// second cache again for every tile: 1x1, 1024 -> 256, 14x14 runs at 75 % of peak without and 92 % with on AVX2, at 63 and 82 % on AVX-512 with two multiply-adds
// a cycle (Sapphire Rapids); with one (Zen 4), nothing changes. The weights of a single pixel come from the memory in one stream, which the machine foresees better:
// 4096 -> 1000 0.60 ms with and 0.50 without (Zen 4).
constexpr bool kAsksAhead = kLanes >= 8;

// What changes from tile to tile of a row.
struct TilePlace {
  const float *in, *residual, *prefetch;
  float* out;
  ptrdiff_t sums;  // places of earlier sums before those of the tile
};

template <int kPixels, int kBlocks, int kUnit, int kInPixel>
[[gnu::always_inline]] inline void RunTile(const ConvTileArgs& args, TilePlace* place) {
  constexpr int kVecs = kBlocks * 8 / kLanes;
  constexpr bool kAsks = kAsksAhead && kUnit == 8 && kInPixel == 8;
  constexpr bool kHalf = kBlocks * 8 > kVecs * kLanes;
  const ptrdiff_t inPixel = kInPixel > 0 ? kInPixel : args.inPixel;
  const float* listed[kPixels];
  for (int i = 0; kInPixel == kListed && i < kPixels; ++i) listed[i] = place->in + args.inAt[i];
  Vec acc[kPixels][kVecs + 1];
  Vec8 half[kPixels];
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) acc[i][v] = Load<Vec>(args.bias + v * kLanes);
    if constexpr (kHalf) half[i] = Load<Vec8>(args.bias + kVecs * kLanes);
  }
  // What is added to the sums is asked for while they are made.
  if (kAsks && place->residual) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 8
      for (int i = 0; i < kPixels * 8; i += 16) Prefetch(place->residual + b * args.outBlock + i);
    }
  }
  const float* w = args.weights;
  const float* const in = place->in;
  const float* next = place->prefetch;
  const ptrdiff_t* tap = args.taps;
  const ptrdiff_t* const end = tap + args.tapCount;
  // One input of each pixel, of tap `at`, times a row of weights.
  const auto take = [&](const float* a, ptrdiff_t at, const float* weights) {
    Vec b[kVecs + 1];
    Vec8 bHalf;
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) b[v] = Load<Vec>(weights + v * kLanes);
    if constexpr (kHalf) bHalf = Load<Vec8>(weights + kVecs * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) {
      const float x = kInPixel == kListed ? listed[i][at] : a[i * inPixel];
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[i][v] = MulAdd(Set<Vec>(x), b[v], acc[i][v]);
      if constexpr (kHalf) half[i] = MulAdd(Set<Vec8>(x), bHalf, half[i]);
    }
  };
  if constexpr (kUnit == 1) {
    // A tap is few instructions: two at a time, and nothing else in between.
    for (int64_t line = args.prefetchLines * args.tapCount; line > 0; --line, next += 16) Prefetch(next);
    for (; end - tap > 1; tap += 2, w += 2 * kBlocks * 8) {
      take(in + tap[0], tap[0], w);
      take(in + tap[1], tap[1], w + kBlocks * 8);
    }
    if (tap != end) take(in + *tap, *tap, w);
  } else {
    const ptrdiff_t* soon = tap + args.inAhead;
    const float* soonIn = in;
    for (; tap != end; ++tap) {
      if constexpr (kAsks) {
        if (soon == end) {
          soon = args.taps;
          soonIn += kPixels * 8;
        }
        const float* const asked = soonIn + *soon++;
#pragma GCC unroll 8
        for (int i = 0; i < kPixels * 8; i += 16) Prefetch(asked + i);
        // A pixel is half a line: the last of an even number may lie in one more.
        if constexpr (kPixels % 2 == 0) Prefetch(asked + kPixels * 8 - 1);
      }
      for (int line = args.prefetchLines; line > 0; --line, next += 16) Prefetch(next);
      const float* const a = in + *tap;
      // Unrolled by more, GCC keeps accumulators on the stack.
#pragma GCC unroll 4
      for (int u = 0; u < kUnit; ++u, w += kBlocks * 8) {
#pragma GCC unroll 2
        for (int i = 0; kAsksAhead && kPixels > 1 && i < kBlocks * 8; i += 16) Prefetch(w + 16 * kBlocks * 8 + i);
        take(a + u, *tap + u, w);
      }
    }
  }
  const bool clips = Clips(args.activation);
  // Copies, which no store can change: the arguments would be read again after each.
  const float* const residual = place->residual;
  float* const out = place->out;
  place->prefetch = next;
  const ptrdiff_t outPixel = args.outPixel, outBlock = args.outBlock, *const outAts = args.outAt;
  const auto placeOf = [&](int i) { return kInPixel == kListed ? outAts[i] : i * outPixel; };
  const ptrdiff_t halfBlock = (kBlocks - 1) * outBlock;
  if constexpr (kInPixel == 8) {
    for (const float* sum : args.sums) {
      if (!sum) continue;
      sum += place->sums;
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i, sum += kBlocks * 8) {
#pragma GCC unroll 8
        for (int v = 0; v < kVecs; ++v) acc[i][v] = Add(acc[i][v], Load<Vec>(sum + v * kLanes));
        if constexpr (kHalf) half[i] = Add(half[i], Load<Vec8>(sum + kVecs * kLanes));
      }
    }
    if (args.poison) {
      Vec poison = Set<Vec>(0.0f);
      Vec8 halfPoison = Set<Vec8>(0.0f);
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 8
        for (int v = 0; v < kVecs; ++v) poison = MulAdd(Set<Vec>(0.0f), acc[i][v], poison);
        if constexpr (kHalf) halfPoison = MulAdd(Set<Vec8>(0.0f), half[i], halfPoison);
      }
      if constexpr (kVecs > 0) Store(Add(Load<Vec>(args.poison), poison), args.poison);
      if constexpr (kHalf) Store(Add(Load<Vec8>(args.poison), halfPoison), args.poison);
    }
  }
  if (residual) {
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[i][v] = Add(acc[i][v], LoadChannels(residual + placeOf(i), outBlock, v, kBlocks));
      if constexpr (kHalf) half[i] = Add(half[i], Load<Vec8>(residual + placeOf(i) + halfBlock));
    }
  }
  if (clips) {
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[i][v] = Clip(acc[i][v], args.activation.a, args.activation.b);
      if constexpr (kHalf) half[i] = Clip(half[i], args.activation.a, args.activation.b);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) StoreChannels(acc[i][v], out + placeOf(i), outBlock, v, kBlocks);
    if constexpr (kHalf) Store(half[i], out + placeOf(i) + halfBlock);
  }
}

// The rarer activations run over stored tiles: of pixels in a row, over several.
constexpr int64_t kActivatedPixels = 96;

// All tiles of a row, one after another.
template <int kPixels, int kBlocks, int kUnit, int kInPixel>
void RunTiles(const ConvTileArgs& args) {
  TilePlace place = {args.in, args.residual, args.prefetch, args.out, 0};
  const Activation& f = args.activation;
  const bool activates = IsRare(f);
  float* stored = args.out;
  int64_t pixels = 0;
  for (int64_t more = args.more;; --more) {
    RunTile<kPixels, kBlocks, kUnit, kInPixel>(args, &place);
    pixels += kPixels;
    if (activates && kInPixel == kListed) {
      for (int i = 0; i < kPixels; ++i) ActivatePixels(stored + args.outAt[i], kBlocks, args.outBlock, 1, 0, 1, 8, f);
    } else if (activates && (more == 0 || pixels >= kActivatedPixels)) {
      ActivatePixels(stored, kBlocks, args.outBlock, 1, 0, pixels, args.outPixel, f);
      stored += pixels * args.outPixel;
      pixels = 0;
    }
    if (more == 0) return;
    place.in += kPixels * args.inPixel;
    place.out += kPixels * args.outPixel;
    place.sums += kPixels * kBlocks * 8;
    if (place.residual) place.residual += kPixels * args.outPixel;
  }
}

// Finds the instance for a number of pixels: kMax, kMax - 1, ... 1.
template <int kMax, int kBlocks, int kUnit, int kInPixel>
inline void ForPixels(const ConvTileArgs& args) {
  if (args.pixels == kMax) {
    RunTiles<kMax, kBlocks, kUnit, kInPixel>(args);
  } else if constexpr (kMax > 1) {
    ForPixels<kMax - 1, kBlocks, kUnit, kInPixel>(args);
  }
}

template <int kBlocks>
inline void ForStride(const ConvTileArgs& args) {
  if (args.unit == 1 && args.inPixel == 1) {
    ForPixels<TilePixels(kBlocks), kBlocks, 1, 1>(args);
  } else if (args.unit == 1 && args.inPixel == 2) {
    ForPixels<TilePixels(kBlocks), kBlocks, 1, 2>(args);
  } else if (args.unit == 1 && args.inPixel == 8) {
    ForPixels<TilePixels(kBlocks), kBlocks, 1, 8>(args);
  } else if (args.unit == 1) {
    ForPixels<TilePixels(kBlocks), kBlocks, 1, 0>(args);
  } else if (args.inAt) {
    ForPixels<TilePixels(kBlocks), kBlocks, 8, kListed>(args);
  } else if (args.inPixel == 8) {
    ForPixels<TilePixels(kBlocks), kBlocks, 8, 8>(args);
  } else if (args.inPixel == 16) {
    ForPixels<TilePixels(kBlocks), kBlocks, 8, 16>(args);
  } else {
    ForPixels<TilePixels(kBlocks), kBlocks, 8, 0>(args);
  }
}

// Finds the instances for a number of blocks: kMax, kMax - 1, ... 1.
template <int kMax>
inline void ForBlocks(const ConvTileArgs& args) {
  if (args.blocks == kMax) {
    ForStride<kMax>(args);
  } else if constexpr (kMax > 1) {
    ForBlocks<kMax - 1>(args);
  }
}

void ConvTile(const ConvTileArgs& args) { ForBlocks<kWidestBlocks>(args); }

}  // namespace
}  // namespace xcorr::XCORR_ISA
