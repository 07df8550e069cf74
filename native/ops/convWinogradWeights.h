// The weights of a convolution by Winograd's minimal filtering: a matrix for each coefficient and panel of output channels. A row belongs to an input
// channel of a phase (convWinogradAxis.h):
//
//   for block of 8 channels: for row phase: for column phase: for channel of the block      phases that have the coefficient
#pragma once
#include "conv2d.h"
#include "convWinogradAxis.h"

namespace xcorr {

// Blocks whose channels fill vectors: products are transformed back by whole ones.
inline int64_t WholeVectors(const KernelTable& t, int64_t blocks) {
  const int64_t perVector = std::max<int64_t>(1, t.lanes / kBlock);
  return (blocks + perVector - 1) / perVector * perVector;
}

class WinogradWeights {
 public:
  WinogradWeights(const Conv& conv, const WinogradAxis& rows, const WinogradAxis& columns);
  int64_t floats() const { return panels_.back().end; }
  void Pack(const float* weight, const float* bias, float* to) const;

  // Output channels that a tile of the kernel makes; places in the packed data, in floats.
  struct Panel {
    int64_t firstBlock, blocks, lanes;  // lanes: of whole vectors, as products and bias have them; `direct` has those of the blocks
    int64_t firstInput;              // block of its group
    int64_t bias, products, direct;  // direct: the kernel as it is, for tiles that are done directly
    int64_t end;
  };
  const std::vector<Panel>& panels() const { return panels_; }

  // Of a coefficient, in taps of the tile kernel, each of which is `unit` rows: they begin after those of the coefficients before.
  struct Product {
    int64_t begin, perBlock, taps;
  };
  const std::vector<Product>& products() const { return products_; }

  // Input channels of a group, in blocks, and of a block. Fewer than 8 are multiplied one by one, and none that do not exist.
  int64_t inputBlocks() const { return inputBlocks_; }
  int64_t blockChannels() const { return blockChannels_; }
  int64_t unit() const { return blockChannels_ == kBlock ? kBlock : 1; }

 private:
  void PackPhase(int64_t rowPhase, int64_t columnPhase, const float* weight, float* to) const;
  void PackDirect(const Panel& panel, const float* weight, float* to) const;
  int64_t taps() const { return rows_.kernel * columns_.kernel; }
  // Output channels of a panel that exist.
  int64_t LanesOf(const Panel& panel) const { return std::min(outChannels_ - panel.firstBlock * kBlock, panel.blocks * kBlock); }

  WinogradAxis rows_, columns_;
  int64_t inChannels_, outChannels_, inputBlocks_, blockChannels_;  // inputs of a group
  std::vector<Product> products_;
  std::vector<Panel> panels_;
};

}  // namespace xcorr
