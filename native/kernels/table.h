// The kernels of one instruction set.
#pragma once
#include "args.h"

namespace xcorr {

struct KernelTable {
  const char* name;
  int lanes;
  int tilePixels;  // of a full ConvTile
  int tileBlocks;  // blocks of 8 channels of a full ConvTile
  int widestBlocks;  // most blocks of a ConvTile
  int (*TilePixels)(int blocks);  // most pixels of one with so many blocks
  int dotOuts;     // most output channels of Dots
  int planeOuts;   // most output channels of a PlanesTile
  int (*PlaneVecs)(int outs);  // most vectors of a PlanesTile with so many
  int (*PlaneRowVecs)(int64_t kernelRows);  // most vectors of a row of PlanesRows
  int panelBlocks;  // blocks of 8 channels of a Lanewise
  int (*LanewiseRows)(int kernel, int stride, bool permuted);  // most rows of a Lanewise with a square kernel, evenSteps, and strides of 1 or 2; 0: none is made for it
#define X(kernel, Args) void (*kernel)(const Args&);
#include "kernels.inc"
#undef X
};

}  // namespace xcorr
