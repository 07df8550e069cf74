#include "groupedPanels.h"

#include <algorithm>

#include "convCost.h"

namespace xcorr {
namespace {

double CostOf(const Conv& c, int64_t firstBlock, int64_t blocks) {
  const double steps = static_cast<double>(GroupedInputs(c, firstBlock, blocks).size() * c.kh * c.kw);
  return IsFlat(c) ? TileCost(c.table, c.y.plane(), blocks, steps) : static_cast<double>(c.y.h) * TileCost(c.table, c.y.w, blocks, steps);
}

}  // namespace

Range GroupedInputs(const Conv& c, int64_t firstBlock, int64_t blocks) {
  const int64_t last = std::min(c.y.c, (firstBlock + blocks) * kBlock) - 1;
  return {firstBlock * kBlock / c.outPerGroup * c.inPerGroup, (last / c.outPerGroup + 1) * c.inPerGroup};
}

// Wide panels make better tiles, but multiply with more zeros: the cheapest way to cut what is left, from the last block on.
GroupedPanels CutGrouped(const Conv& c) {
  std::vector<double> cost(static_cast<size_t>(c.y.blocks) + 1, 0.0);
  std::vector<int64_t> width(cost.size(), 1);
  for (int64_t first = c.y.blocks - 1; first >= 0; --first) {
    for (int64_t b = 1; b <= std::min<int64_t>(c.y.blocks - first, c.table.widestBlocks); ++b) {
      const double all = CostOf(c, first, b) + cost[static_cast<size_t>(first + b)];
      double& least = cost[static_cast<size_t>(first)];
      if (b > 1 && all >= least) continue;
      least = all;
      width[static_cast<size_t>(first)] = b;
    }
  }
  GroupedPanels panels = {{}, cost[0]};
  for (int64_t first = 0; first < c.y.blocks; first += panels.blocks.back()) panels.blocks.push_back(width[static_cast<size_t>(first)]);
  return panels;
}

Reason AcceptsGrouped(const Conv& c) {
  if (c.groups == 1) return "one group";
  return FillsBlocks(c) ? "groups fill blocks of 8 channels" : "";
}

double CostGrouped(const Conv& c) {
  const GroupedPanels panels = CutGrouped(c);
  int64_t weights = 0, first = 0;
  for (int64_t blocks : panels.blocks) {
    weights += GroupedInputs(c, first, blocks).size() * c.kh * c.kw * blocks * kBlock;
    first += blocks;
  }
  return panels.cost + StreamCost(c.table, CopiedFloats(c) + static_cast<double>(weights));
}

}  // namespace xcorr
