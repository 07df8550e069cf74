// What the algorithms of conv2d share: the problem, and a step that brings images into the blocked layout and back around what they do.
//
// An algorithm is one file: a function that says why it does not take a problem, a factory, and a class derived from ConvStep. Its line in
// the list of conv2d.cpp says its place in the order.
#pragma once
#include <algorithm>
#include <cmath>

#include "../runtime/cpu.h"
#include "convByParts.h"
#include "epilogue.h"
#include "layout.h"
#include "op.h"
#include "tiles.h"

namespace xcorr {

struct Conv {
  explicit Conv(const Problem& problem);
  Image x, y;
  TensorDesc weight;  // (Cout, Cin / groups, Kh, Kw)
  std::vector<int64_t> stride, dilation;
  Padding padding;
  int64_t groups, kh, kw, inPerGroup, outPerGroup;
  int64_t wantedTasks;  // to cut the work into, so that many threads end at nearly the same time
  bool hasBias, hasResidual, residualBlocked = true, winograd, constantWeight;
  size_t residualInput;
  Epilogue epilogue;
  const KernelTable& table;

  float Weight(const float* w, int64_t o, int64_t c, int64_t i, int64_t j) const { return w[((o * inPerGroup + c) * kh + i) * kw + j]; }
};

// Runs one algorithm on every image of a batch: reorders plain inputs, copies them if the algorithm wants that, packs weights that are not
// constant, and finishes with activations that kernels do not have.
class ConvStep : public Step {
 public:
  // What the algorithm wants instead of the image as it is: with its padding around it, or only the pixels that a 1x1 kernel reads.
  enum class Copy { kNone, kPadded, kPicked };
  ConvStep(const Conv& conv, bool plainInput, Copy copy, bool plainOutput = false);
  // To be called once, before weights are packed.
  void Prepare(const Problem& problem);

  size_t scratchBytes() const override { return static_cast<size_t>(scratchFloats_) * sizeof(float); }
  bool ownsConstant(size_t input) const override { return constant_ && (input == 1 || (input == 2 && conv_.hasBias)); }
  int64_t packParts() const override { return constant_ ? 1 : 0; }
  void PackPart(int64_t part, AlignedBuffer* buffer) override;
  void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const override;

  // What the algorithm can do of these; null: nothing.
  virtual const ConvByParts* byParts() const { return nullptr; }
  virtual const ConvOfParts* ofParts() const { return nullptr; }
  const float* packed() const { return packed_; }

 protected:
  virtual int64_t packedFloats() const = 0;
  virtual int64_t workFloats() const { return 0; }
  // Bias is null if there is none.
  virtual void Pack(const float* weight, const float* bias, float* to) const = 0;
  // One image: `in` as in_ says, copied as asked for, `residual` (or null) and `out` as out_ says.
  virtual void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float* work) const = 0;

  Conv conv_;
  Image in_, out_;  // conv_'s images as the algorithm sees them; without the padding

 private:
  int64_t Reserve(bool needed, int64_t floats);

  Constant weight_, bias_;  // until they are packed
  float* packed_ = nullptr;
  Image source_;  // what in_ is copied from
  Copy copy_;
  bool constant_ = false;
  // Images of a large batch are tasks, each with a copy and a work area of its own; of a small one they come one after another.
  static constexpr int64_t kManyImages = 8;
  int64_t areas() const { return in_.n >= kManyImages ? in_.n : 1; }

  int64_t scratchFloats_ = 0;
  int64_t blockedIn_ = -1, copied_ = -1, reorderedResidual_ = -1, blockedOut_ = -1, packedAt_ = -1, workAt_ = -1;
};

// The fewest tasks that will do.
constexpr int64_t kLeastTasks = 8;

// Numbers that are to stay in the second cache: two fifths of it, as weights stream through the rest.
inline int64_t NearFloats() { return static_cast<int64_t>(SecondCacheBytes() * 2 / 5 / sizeof(float)); }

// The step for a problem of conv2d, by the algorithm that is expected to be the fastest.
std::unique_ptr<ConvStep> MakeConv(const Problem& problem);

// Blocks of output channels of the next panel, if `left` are left. A last panel of one block would load as much as it multiplies, so the one before takes
// it along, or the two share what there is: 40 channels are 16 and 24.
inline int64_t PanelBlocks(const KernelTable& t, int64_t left) {
  if (left != t.tileBlocks + 1) return std::min<int64_t>(t.tileBlocks, left);
  return left <= t.widestBlocks ? left : left / 2;
}

// Weights that are wanted next, fetched bit by bit while `tiles` tiles are computed: all at once would hold up the loads of the present.
class Ahead {
 public:
  Ahead(const float* at, int64_t floats, int64_t tiles)
      : at_(at), lines_(at ? static_cast<int>(floats / 16) : 0), perTile_(lines_ / static_cast<int>(std::max<int64_t>(1, tiles)) + 1) {}
  // To be called for each tile in turn, or for all that follow one another in a call.
  void Next(ConvTileArgs* args) {
    const int tiles = static_cast<int>(args->more) + 1, lines = std::min(lines_, perTile_ * tiles), taps = static_cast<int>(args->tapCount) * tiles;
    args->prefetch = at_;
    // A division takes as long as a step or two of the tile.
    args->prefetchLines = lines > 0 ? (lines + taps - 1) / taps : 0;
    at_ += lines * 16;
    lines_ -= lines;
  }

 private:
  const float* at_;
  int lines_, perTile_;
};

// Whether kernels that were given `poison`, one number per lane, saw finite numbers only.
inline bool AllFinite(const float (&poison)[16]) {
  return std::none_of(poison, poison + 16, [](float p) { return std::isnan(p); });
}

// No block of 8 channels belongs to two groups.
inline bool FillsBlocks(const Conv& c) { return c.groups == 1 || (c.inPerGroup % kBlock == 0 && c.outPerGroup % kBlock == 0); }

// All rows are one: the pixels of a 1x1 kernel that reads them where they are.
inline bool IsFlat(const Conv& c) { return c.kh == 1 && c.kw == 1 && c.stride[0] == 1 && c.stride[1] == 1 && !c.padding.any(); }

// Why an algorithm does not take a problem; empty: it does.
using Reason = std::string;

#define XCORR_CONV_ALGORITHM(Name) \
  Reason Accepts##Name(const Conv& conv); \
  double Cost##Name(const Conv& conv);  /* convCost.h */ \
  std::unique_ptr<ConvStep> Make##Name(const Conv& conv);
XCORR_CONV_ALGORITHM(Planes)     // convPlanes.cpp
XCORR_CONV_ALGORITHM(PointwisePlanes)  // convPointwisePlanes.cpp
XCORR_CONV_ALGORITHM(DepthwisePlanes)  // convDepthwisePlanes.cpp
XCORR_CONV_ALGORITHM(Depthwise)  // convLanewise.cpp
XCORR_CONV_ALGORITHM(SmallGroups)
XCORR_CONV_ALGORITHM(Winograd4)  // convWinograd.cpp
XCORR_CONV_ALGORITHM(Winograd2)
XCORR_CONV_ALGORITHM(Strassen)   // convStrassen.cpp
XCORR_CONV_ALGORITHM(Stem)       // convTiles.cpp
XCORR_CONV_ALGORITHM(Dots)       // convDots.cpp
XCORR_CONV_ALGORITHM(Grouped)
XCORR_CONV_ALGORITHM(Pointwise)
XCORR_CONV_ALGORITHM(Direct)
#undef XCORR_CONV_ALGORITHM
Reason AcceptsPhases(const Conv& conv);  // convTransposePhases.cpp, of convTranspose2d
std::unique_ptr<ConvStep> MakePhases(const Conv& conv);

}  // namespace xcorr
