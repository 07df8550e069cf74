// Norm over the channels of each pixel: some pixels at a time, whose lanes are added up by turning 8 sums of 8 lanes round.
#pragma once

#include "dots.h"

namespace xcorr::XCORR_ISA {
namespace {

// Adds add(sum, x, pixel) over the blocks to the totals of some pixels: few blocks at a time, so that small numbers are not lost in large sums.
template <int kPixels, typename F>
[[gnu::always_inline]] inline void AddBlocks(const float* in, ptrdiff_t plane, int64_t blocks, Vec8 (&totals)[8], const F& add) {
  constexpr int64_t kFew = 16;
  for (int64_t first = 0; first < blocks; first += kFew) {
    Vec8 sums[kPixels];
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) sums[p] = Set<Vec8>(0.0f);
    for (int64_t b = first; b < blocks && b < first + kFew; ++b) {
#pragma GCC unroll 8
      for (int p = 0; p < kPixels; ++p) sums[p] = add(sums[p], Load<Vec8>(in + b * plane + p * 8), p);
    }
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) totals[p] = Add(totals[p], sums[p]);
  }
}

// Pixels at a time: their means, factors and sums fit into 32 registers, or into 16.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kNormPixels = 8;
#else
constexpr int kNormPixels = 4;
#endif

template <int kPixels>
inline void NormPixels(const ChannelNormArgs& args, const float* in, float* out) {
  const ptrdiff_t plane = args.plane;
  const int64_t full = args.channels / 8, lanes = args.channels % 8, blocks = full + (lanes > 0);
  const Vec8 share = Set<Vec8>(1.0f / static_cast<float>(args.channels));
  float means[8], factors[8];
  Vec8 totals[8], mean[kPixels], factor[kPixels];
  const auto clear = [&] {
    for (Vec8& total : totals) total = Set<Vec8>(0.0f);
  };
  clear();
  AddBlocks<kPixels>(in, plane, blocks, totals, [](Vec8 sum, Vec8 x, int) { return Add(sum, x); });
  Store(Mul(SumLanes(totals), share), means);
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) mean[p] = Set<Vec8>(means[p]);
  clear();
  AddBlocks<kPixels>(in, plane, full, totals, [&](Vec8 sum, Vec8 x, int p) {
    const Vec8 d = Sub(x, mean[p]);
    return MulAdd(d, d, sum);
  });
  if (lanes > 0) {
    float real[8];
    for (int l = 0; l < 8; ++l) real[l] = l < lanes ? 1.0f : 0.0f;
    AddBlocks<kPixels>(in + full * plane, plane, 1, totals, [&](Vec8 sum, Vec8 x, int p) {
      const Vec8 d = Mul(Sub(x, mean[p]), Load<Vec8>(real));
      return MulAdd(d, d, sum);
    });
  }
  Store(Div(Set<Vec8>(1.0f), Sqrt(MulAdd(SumLanes(totals), share, Set<Vec8>(args.eps)))), factors);
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) factor[p] = Set<Vec8>(factors[p]);
  for (int64_t b = 0; b < blocks; ++b) {
    const Vec8 scale = Load<Vec8>(args.scale + b * 8), bias = Load<Vec8>(args.bias + b * 8);
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      const Vec8 difference = Sub(Load<Vec8>(in + b * plane + p * 8), mean[p]);
      Store(MulAdd(Mul(difference, factor[p]), scale, bias), out + b * plane + p * 8);
    }
  }
}

void ChannelNorm(const ChannelNormArgs& args) {
  int64_t p = 0;
  for (; p + kNormPixels <= args.pixels; p += kNormPixels) NormPixels<kNormPixels>(args, args.in + p * 8, args.out + p * 8);
  for (; p < args.pixels; ++p) NormPixels<1>(args, args.in + p * 8, args.out + p * 8);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
