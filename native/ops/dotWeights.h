// What conv2d and convTranspose2d to few output channels share (kernels/dots.h): which they are, their weights, and the order of their work.
#pragma once
#include "convCost.h"

namespace xcorr {

inline Reason AcceptsFewOutputs(const Conv& c) {
  if (c.groups > 1) return "groups";
  if (c.y.blocked) return "an output in blocks";
  if (c.y.c > c.table.dotOuts) return "more than " + std::to_string(c.table.dotOuts) + " output channels";
  if (c.epilogue.fused.slopes) return "a slope for each channel";
  return c.x.c < kBlock ? "less than a block of input channels" : "";
}

// Of so many pixels that are sums of `taps` blocks of 8 channels.
inline double DotsCost(const Conv& c, double pixels, double taps) {
  // The kernel has vectors of 8 lanes, two a cycle; loads what it multiplies, and takes some 5 steps to add up each sum.
  const double step = MultiplyAddsPerCycle(c.table) / 2.0 * (c.table.lanes < kBlock ? static_cast<double>(kBlock) / c.table.lanes : 1);
  const auto outs = static_cast<double>(c.y.c);
  return pixels * (taps * (1.15 * outs + 0.8) + 5 * outs) * step;
}

// [block][tap][output][8 channels of the block], where weight(o, c, t) is the weight of input channel c at tap t.
template <typename F>
float* PackDots(const Conv& c, int64_t taps, const F& weight, float* to) {
  for (int64_t block = 0; block < c.x.blocks; ++block) {
    for (int64_t t = 0; t < taps; ++t) {
      for (int64_t o = 0; o < c.y.c; ++o) {
        for (int64_t u = block * kBlock; u < (block + 1) * kBlock; ++u) *to++ = u < c.x.c ? weight(o, u, t) : 0.0f;
      }
    }
  }
  return to;
}

// Their biases, and zeros up to a whole line.
constexpr int64_t kDotBias = 16;
inline float* PackDotBias(const Conv& c, const float* bias, float* to) {
  for (int64_t o = 0; o < kDotBias; ++o) *to++ = bias && o < c.y.c ? bias[o] : 0.0f;
  return to;
}

// Pixels of a row that are made one row after another, so that what the next one reads as well is still near; whole tiles for any number of outputs.
constexpr int64_t kDotPixels = 24;

inline DotsArgs DotsArgsOf(const Conv& c, const float* packed) {
  DotsArgs args = {};
  args.bias = packed;
  args.outPlane = c.y.plane();
  args.outs = static_cast<int>(c.y.c);
  args.activation = c.epilogue.fused;
  return args;
}

}  // namespace xcorr
