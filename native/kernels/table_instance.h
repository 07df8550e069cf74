// Every kernel, compiled for one instruction set, and its table. Included once by each native/isa/<isa>.cpp.
//
// Everything but the table has internal linkage: a function shared by name with another unit could be the copy that the linker
// keeps for all, and an old CPU would then meet instructions that it does not have.
#pragma once
#include "activation.h"
#include "channels.h"
#include "convTile.h"
#include "depthwisePlanes.h"
#include "dots.h"
#include "elementwise.h"
#include "softmax.h"
#include "lanewise.h"
#include "layout.h"
#include "peak.h"
#include "phases.h"
#include "planeStrips.h"
#include "planesRows.h"
#include "planesTile.h"
#include "planesProduct.h"
#include "pool.h"
#include "channelNorm.h"
#include "responseNorm.h"
#include "separable.h"
#include "strassen.h"
#include "table.h"
#include "winograd.h"

#define XCORR_TEXT_OF(x) #x
#define XCORR_TEXT(x) XCORR_TEXT_OF(x)

namespace xcorr::XCORR_ISA {

extern const KernelTable kTable;
const KernelTable kTable = {
    XCORR_TEXT(XCORR_ISA), kLanes, kTilePixels, kTileBlocks, kWidestBlocks, TilePixels, kDotOuts, kPlaneOuts, PlaneVecs, PlaneRowVecs, kPanelBlocks, LanewiseRows,
#define X(kernel, Args) kernel,
#include "kernels.inc"
#undef X
};

}  // namespace xcorr::XCORR_ISA
