// What an algorithm of conv2d is expected to cost, on one thread, in multiply-adds of vectors: what the machine could do meanwhile if it did nothing
// else. Only ratios between algorithms matter. The weights of a network are read from afar in every run, since those of other layers
// have taken their place in the caches.
//
// The constants were fitted to measured times of the layers of common networks on AVX2 and AVX-512 (docs/performance.md).
#pragma once
#include <algorithm>

#include "conv2d.h"

namespace xcorr {

// Of `blocks` blocks of `pixels` outputs in tiles of nearly equal size, from `steps` inputs per output.
inline double TileCost(const KernelTable& t, int64_t pixels, int64_t blocks, double steps) {
  const int64_t tiles = TilesOf(t, blocks, pixels);
  const double perTile = static_cast<double>(pixels) / static_cast<double>(tiles), v = static_cast<double>(blocks * kBlock) / t.lanes;
  // A sum can take its next number only when the one before is in: 4 cycles, with one or two vectors a cycle. And each pixel and each vector of
  // weights is a load.
  const double perCycle = MultiplyAddsPerCycle(t);
  const double step = std::max({perTile * v, 4 * perCycle, (perTile * perCycle / 2 + v) * 1.1});
  return static_cast<double>(tiles) * (steps * step + 24 + 3 * perTile * v);
}

// Of all panels of `blocks` blocks of outputs.
inline double PanelsCost(const KernelTable& t, int64_t blocks, int64_t pixels, double steps) {
  double cost = 0;
  for (int64_t b = 0, panel; b < blocks; b += panel) {
    panel = PanelBlocks(t, blocks - b);
    cost += TileCost(t, pixels, panel, steps);
  }
  return cost;
}

// Of numbers that are brought in from afar, or copied. Many come from further away, at half of the speed: from the memory itself; or, where cores have two
// wide multiply-adds a cycle, and with them large second caches and a slow third, from that one, at a third.
inline double StreamCost(const KernelTable& t, double floats) {
  const bool wide = t.lanes > 8 && MultiplyAddsPerCycle(t) > 1;
  const double many = wide ? 1 << 19 : 1 << 20;
  return (floats + (wide ? 2 : 1) * std::max(0.0, floats - many)) / 5 * MultiplyAddsPerCycle(t);
}

// Of an image that is copied with its padding.
inline double CopiedFloats(const Conv& c) { return c.padding.any() ? static_cast<double>(c.x.c * c.x.plane()) : 0; }

}  // namespace xcorr
