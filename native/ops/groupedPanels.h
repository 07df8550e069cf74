// Groups that do not fill blocks of 8 channels, as panels of tiles: a panel takes the inputs of all groups that its outputs belong to, and multiplies with zeros
// for groups that are not an output's own.
#pragma once
#include "conv2d.h"

namespace xcorr {

// The input channels that blocks of outputs take.
Range GroupedInputs(const Conv& c, int64_t firstBlock, int64_t blocks);

// The panels, as numbers of blocks, and what their tiles cost.
struct GroupedPanels {
  std::vector<int64_t> blocks;
  double cost;
};
GroupedPanels CutGrouped(const Conv& c);

}  // namespace xcorr
