// conv2d by Winograd's minimal filtering, for small kernels (kernels/winograd.h has the formulas).
//
// The image is cut into tiles of m x m outputs (m x 1 or 1 x m if the kernel is a column or a row), and those into blocks that fit the second cache; with
// a dilation d, the pixels of a tile lie d apart; with a stride, each block of channels is there once for each phase (convWinogradAxis.h). For each block:
//
//   V[i][c][tile]  the tiles' inputs, transformed: n * n coefficients i, n = m + kernel / stride - 1
//   M[i][tile][o]  for each panel of output channels and each i, a product of V[i] and the transformed weights, by the tile kernel
//   out            M transformed back, with bias, residual and activation
//
// A task is a block. Where that would bring the weights from afar too often, blocks are larger, and the threads share each of them: first the transforms,
// then the panels.
//
// A value that is not finite would spread over its tile, and huge ones can overflow in the transforms: when that shows in the results, the block is
// done again directly.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "convCost.h"
#include "convWinogradWeights.h"

namespace xcorr {
namespace {

WinogradAxis AxisOf(const Conv& c, size_t axis, int m) { return {axis == 0 ? c.kh : c.kw, axis == 0 ? c.y.h : c.y.w, c.stride[axis], c.dilation[axis], m}; }

class Winograd : public ConvStep {
 public:
  Winograd(const Conv& conv, int m)
      : ConvStep(conv, false, Copy::kNone), rows_(AxisOf(conv, 0, m)), columns_(AxisOf(conv, 1, m)), weights_(conv, rows_, columns_),
        coefficients_(rows_.n * columns_.n), tiles_(rows_.tiles() * columns_.tiles()) {
    PlanBlocks();
    vStep_ = in_.blocks * phases() * blockTiles_ * kBlock + 16;  // not a multiple of 4096 bytes: the coefficients would share a cache set
    ListTaps();
  }

 protected:
  int64_t packedFloats() const override { return weights_.floats(); }
  int64_t workFloats() const override { return shared_ ? vFloats() : 0; }

  void Pack(const float* weight, const float* bias, float* to) const override { weights_.Pack(weight, bias, to); }

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float* work) const override {
    if (shared_) {
      for (int64_t block = 0; block < blockCount_; ++block) RunShared(team, block, packed, in, residual, out, work);
      return;
    }
    team.Run(blockCount_, [&](int64_t block, int) {
      float* v = ThreadScratch(static_cast<size_t>(vFloats() + mFloats() + patchFloats()));
      for (int64_t group = 0; group < groups(); ++group) TransformTiles(block, group, {0, in_.blocks}, in, v, v + vFloats() + mFloats());
      const Range tiles = TilesOf(block);
      float* m = v + vFloats();
      for (int64_t p = 0; p < panels(); ++p) {
        if (!MultiplyTiles(tiles.begin, {0, tiles.size()}, p, packed, v, m, residual, out)) RunDirectly(tiles, p, packed, m + mFloats(), in, residual, out);
      }
    });
  }

 private:
  // Tiles of a block that threads share: as many products for each weight that comes from afar.
  static constexpr int64_t kSharedTiles = 64;
  // Tiles that are transformed at a time: their copies, if they hang over an edge, stay near.
  static constexpr int64_t kGroup = 8;

  using Panel = WinogradWeights::Panel;
  using Product = WinogradWeights::Product;

  int64_t groups() const { return (blockTiles_ + kGroup - 1) / kGroup; }
  int64_t panels() const { return static_cast<int64_t>(weights_.panels().size()); }
  int64_t phases() const { return rows_.phases * columns_.phases; }
  int64_t vFloats() const { return coefficients_ * vStep_; }
  int64_t mStep() const { return blockTiles_ * conv_.table.tileBlocks * kBlock + 16; }
  int64_t mFloats() const { return coefficients_ * mStep(); }
  int64_t patchStep() const { return rows_.inputs() * columns_.inputs() * kBlock; }
  int64_t patchFloats() const { return std::max(weights_.inputBlocks(), kGroup) * patchStep(); }
  Range TilesOf(int64_t block) const { return Share(tiles_, blockCount_, block); }

  // Decides who does a block, and how many tiles it has.
  void PlanBlocks() {
    const int64_t tile = conv_.table.tilePixels, vTile = rows_.products() * columns_.products() * in_.blocks * kBlock;
    const int64_t mTile = coefficients_ * conv_.table.tileBlocks * kBlock;
    // V and M of a task fill less than half of the second cache; the weights stream through the rest.
    const int64_t fits = NearFloats() / (vTile + mTile) / tile;
    int64_t most = std::clamp<int64_t>(fits, 1, 48 / tile) * tile;
    while (most > tile && tiles_ / most < kLeastTasks) most -= tile;
    const int64_t alone = (tiles_ + most - 1) / most, together = (tiles_ + kSharedTiles - 1) / kSharedTiles;
    // What comes from beyond the second cache: the weights for each block, or V too, which is written, and read for each panel.
    const int64_t weights = rows_.products() * columns_.products() * weights_.inputBlocks() * kBlock * out_.c;
    shared_ = alone < kLeastTasks || (alone - together) * weights > 2 * tiles_ * vTile * (panels() + 2);
    blockCount_ = shared_ ? together : alone;
    blockTiles_ = (tiles_ + blockCount_ - 1) / blockCount_;
  }

  // Where the numbers lie that the rows of the weights multiply, in V and in tiles' inputs.
  void ListTaps() {
    for (int64_t y = 0; y < rows_.n; ++y) {
      for (int64_t x = 0; x < columns_.n; ++x) {
        for (int64_t c = 0; c < weights_.inputBlocks(); ++c) {
          for (int64_t i = 0; i < rows_.PhasesOf(y); ++i) {
            for (int64_t j = 0; j < columns_.PhasesOf(x); ++j) {
              for (int64_t u = 0; u < weights_.blockChannels(); u += weights_.unit()) taps_.push_back(VPlace(c, i, j) + u);
            }
          }
        }
      }
    }
    for (int64_t c = 0; c < weights_.inputBlocks(); ++c) {
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; ++j) patchTaps_.push_back(c * patchStep() + (i * columns_.inputs() + j) * kBlock);
      }
    }
  }

  // Where a block of channels of a phase lies in a coefficient of V.
  int64_t VPlace(int64_t block, int64_t rowPhase, int64_t columnPhase) const {
    return ((block * rows_.phases + rowPhase) * columns_.phases + columnPhase) * blockTiles_ * kBlock;
  }

  // The input pixel that a tile begins with.
  struct Corner {
    int64_t top, left;
  };
  Corner CornerOf(int64_t tile) const {
    return {rows_.First(tile / columns_.tiles()) * rows_.stride - conv_.padding.top, columns_.First(tile % columns_.tiles()) * columns_.stride - conv_.padding.left};
  }

  // Copies a tile's input, zeros outside the image.
  void CopyPatch(const float* plane, Corner corner, float* to) const {
    const int64_t height = rows_.inputs(), width = columns_.inputs(), step = columns_.dilation;
    // Columns begin .. end - 1 lie in the image.
    const int64_t begin = std::clamp<int64_t>((step - 1 - corner.left) / step, 0, width);
    const int64_t end = std::clamp<int64_t>((in_.w - corner.left + step - 1) / step, begin, width);
    for (int64_t i = 0; i < height; ++i, to += width * kBlock) {
      const int64_t y = corner.top + i * rows_.dilation;
      if (y < 0 || y >= in_.h) {
        std::fill_n(to, width * kBlock, 0.0f);
        continue;
      }
      std::fill_n(to, begin * kBlock, 0.0f);
      const float* from = plane + (y * in_.w + corner.left + begin * step) * kBlock;
      for (int64_t j = begin; j < end; ++j, from += step * kBlock) std::memcpy(to + j * kBlock, from, kBlock * sizeof(float));
      std::fill_n(to + end * kBlock, (width - end) * kBlock, 0.0f);
    }
  }

  void TransformTiles(int64_t block, int64_t group, Range channelBlocks, const float* in, float* v, float* patches) const {
    const Range tiles = TilesOf(block);
    const int64_t first = group * kGroup, count = std::min(kGroup, tiles.size() - first);
    const int64_t below = (rows_.inputs() - 1) * rows_.dilation, beside = (columns_.inputs() - 1) * columns_.dilation;
    Corner corners[kGroup];
    WinogradTile inputs[kGroup];
    for (int64_t t = 0; t < count; ++t) corners[t] = CornerOf(tiles.begin + first + t);
    for (int64_t c = channelBlocks.begin; c < channelBlocks.end; ++c) {
      const float* plane = in + c * in_.plane() * kBlock;
      for (int64_t t = 0; t < count; ++t) {
        const auto [top, left] = corners[t];
        if (top >= 0 && left >= 0 && top + below < in_.h && left + beside < in_.w) {
          inputs[t] = {plane + (top * in_.w + left) * kBlock, rows_.dilation * in_.w * kBlock, columns_.dilation * kBlock};
        } else {
          float* patch = patches + t * patchStep();
          CopyPatch(plane, corners[t], patch);
          inputs[t] = {patch, columns_.inputs() * kBlock, kBlock};
        }
      }
      for (int64_t i = 0; i < rows_.phases; ++i) {
        for (int64_t j = 0; j < columns_.phases; ++j) TransformPhase(i, j, inputs, count, v + VPlace(c, i, j) + first * kBlock);
      }
    }
  }

  void TransformPhase(int64_t rowPhase, int64_t columnPhase, const WinogradTile* inputs, int64_t count, float* to) const {
    WinogradTile tiles[kGroup];
    for (int64_t t = 0; t < count; ++t) {
      const auto [at, row, pixel] = inputs[t];
      tiles[t] = {at + rowPhase * row + columnPhase * pixel, rows_.stride * row, columns_.stride * pixel};
    }
    conv_.table.WinogradInput({{rows_.n, columns_.n}, {rows_.CoefficientsOf(rowPhase), columns_.CoefficientsOf(columnPhase)}, tiles, static_cast<int>(count), to, vStep_});
  }

  // A block by all threads.
  void RunShared(Team& team, int64_t block, const float* packed, const float* in, const float* residual, float* out, float* v) const {
    const int64_t inputParts = std::min<int64_t>(in_.blocks, kLeastTasks);
    team.Run(groups() * inputParts, [&](int64_t task, int) {
      float* patches = ThreadScratch(static_cast<size_t>(patchFloats()));
      TransformTiles(block, task / inputParts, Share(in_.blocks, inputParts, task % inputParts), in, v, patches);
    });
    // Panels that are fewer than threads are cut: each thread then brings in the weights of its own. What is done directly does not depend on the cut.
    const Range tiles = TilesOf(block);
    const int64_t parts = std::clamp<int64_t>(team.size() / panels(), 1, tiles.size());
    std::vector<std::atomic<bool>> directly(static_cast<size_t>(panels()));
    team.Run(panels() * parts, [&](int64_t task, int) {
      const int64_t p = task / parts;
      float* m = ThreadScratch(static_cast<size_t>(mFloats()));
      if (!MultiplyTiles(tiles.begin, Share(tiles.size(), parts, task % parts), p, packed, v, m, residual, out)) directly[static_cast<size_t>(p)] = true;
    });
    for (int64_t p = 0; p < panels(); ++p) {
      if (!directly[static_cast<size_t>(p)]) continue;
      team.Run(tiles.size(), [&](int64_t tile, int) {
        const int64_t t = tiles.begin + tile;
        RunDirectly({t, t + 1}, p, packed, ThreadScratch(static_cast<size_t>(patchFloats())), in, residual, out);
      });
    }
  }

  // Some tiles of a block, which begins with tile `firstTile`. False if an output was not finite.
  bool MultiplyTiles(int64_t firstTile, Range some, int64_t p, const float* packed, const float* v, float* m, const float* residual, float* out) const {
    const int64_t parts = (some.size() + conv_.table.tilePixels - 1) / conv_.table.tilePixels;
    static const float kZeros[64] = {};
    const Panel& panel = weights_.panels()[static_cast<size_t>(p)];
    ConvTileArgs args = {};
    args.inPixel = kBlock;
    args.unit = static_cast<int>(weights_.unit());
    args.bias = kZeros;
    args.outPixel = panel.lanes;
    args.outBlock = kBlock;
    args.blocks = static_cast<int>(panel.lanes / kBlock);  // whole vectors: all of M is written
    for (int64_t i = 0; i < coefficients_; ++i) {
      const Product& product = weights_.products()[static_cast<size_t>(i)];
      SetTaps(&args, taps_.data() + product.begin, product.taps);
      args.weights = packed + panel.products + product.begin * weights_.unit() * panel.lanes;
      Ahead ahead = NextWeights(p, i, packed, parts);
      ForTiles(some.size(), parts, [&](int64_t first, int64_t pixels, int64_t count) {
        args.in = v + i * vStep_ + VPlace(panel.firstInput, 0, 0) + (some.begin + first) * kBlock;
        args.out = m + i * mStep() + first * panel.lanes;
        args.pixels = static_cast<int>(pixels);
        args.more = count - 1;
        ahead.Next(&args);
        conv_.table.ConvTile(args);
      });
    }
    return TransformBack({firstTile + some.begin, firstTile + some.end}, panel, packed, m, residual, out);
  }

  // What the product after coefficient i of panel p multiplies with.
  Ahead NextWeights(int64_t p, int64_t i, const float* packed, int64_t parts) const {
    const bool last = i + 1 == coefficients_;
    if (last && p + 1 == panels()) return {nullptr, 0, 1};
    const Panel& panel = weights_.panels()[static_cast<size_t>(last ? p + 1 : p)];
    const Product& next = weights_.products()[static_cast<size_t>(last ? 0 : i + 1)];
    return {packed + panel.products + next.begin * weights_.unit() * panel.lanes, next.taps * weights_.unit() * panel.lanes, parts};
  }

  // Where a tile's outputs begin, and how many there are.
  struct Place {
    int64_t at;
    int rows, columns;
  };
  Place PlaceOf(int64_t tile, const Panel& panel) const {
    const int64_t y = tile / columns_.tiles(), x = tile % columns_.tiles();
    return {((panel.firstBlock * out_.h + rows_.First(y)) * out_.w + columns_.First(x)) * kBlock, rows_.Count(y), columns_.Count(x)};
  }

  // False if an output was not finite.
  bool TransformBack(Range tiles, const Panel& panel, const float* packed, const float* m, const float* residual, float* out) const {
    float poison[16] = {};
    WinogradOutputArgs args = {};
    args.n[0] = rows_.n;
    args.n[1] = columns_.n;
    args.m[0] = rows_.m;
    args.m[1] = columns_.m;
    args.inCoefficient = mStep();
    args.bias = packed + panel.bias;
    args.outRow = rows_.dilation * out_.w * kBlock;
    args.outPixel = columns_.dilation * kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused.From(panel.firstBlock * kBlock);
    args.poison = poison;
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const Place place = PlaceOf(t, panel);
      if (place.rows == 0 || place.columns == 0) continue;
      args.in = m + (t - tiles.begin) * panel.lanes;
      args.residual = residual ? residual + place.at : nullptr;
      args.out = out + place.at;
      args.rows = place.rows;
      args.columns = place.columns;
      conv_.table.WinogradOutput(args);
    }
    return AllFinite(poison);
  }

  void RunDirectly(Range tiles, int64_t p, const float* packed, float* patch, const float* in, const float* residual, float* out) const {
    const Panel& panel = weights_.panels()[static_cast<size_t>(p)];
    ConvTileArgs args = {};
    args.inPixel = columns_.stride * kBlock;
    SetTaps(&args, patchTaps_.data(), static_cast<int64_t>(patchTaps_.size()));
    args.unit = kBlock;
    args.weights = packed + panel.direct;
    args.bias = packed + panel.bias;
    args.outPixel = columns_.dilation * kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused.From(panel.firstBlock * kBlock);
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const Place place = PlaceOf(t, panel);
      if (place.columns == 0) continue;
      for (int64_t c = 0; c < weights_.inputBlocks(); ++c) CopyPatch(in + (panel.firstInput + c) * in_.plane() * kBlock, CornerOf(t), patch + c * patchStep());
      for (int64_t y = 0; y < place.rows; ++y) {
        args.in = patch + y * rows_.stride * columns_.inputs() * kBlock;
        args.pixels = place.columns;
        const int64_t row = place.at + y * rows_.dilation * out_.w * kBlock;
        args.out = out + row;
        args.residual = residual ? residual + row : nullptr;
        conv_.table.ConvTile(args);
      }
    }
  }

  WinogradAxis rows_, columns_;
  WinogradWeights weights_;
  int64_t coefficients_, tiles_, blockCount_ = 1, blockTiles_ = 1, vStep_ = 0;
  bool shared_ = false;
  std::vector<ptrdiff_t> taps_, patchTaps_;
};

// Whether an axis may be filtered.
Reason AcceptsAxis(const WinogradAxis& axis) {
  if (axis.kernel == 1) return "";
  if (axis.TapsOf(0) < 2) return "stride as large as the kernel";
  if (axis.stride > 1 && axis.dilation > 1) return "stride and dilation";
  return axis.out >= axis.dilation ? "" : "output smaller than the dilation";
}

Reason Accepts(const Conv& c, int m) {
  if (!c.winograd) return "switched off";
  if (!FillsBlocks(c)) return "groups that do not fill blocks of 8 channels";
  const WinogradAxis rows = AxisOf(c, 0, m), columns = AxisOf(c, 1, m);
  if (c.inPerGroup * rows.phases * columns.phases < kBlock) return "few input channels";
  const int least = std::min(rows.n, columns.n), most = std::max(rows.n, columns.n);
  const bool square = least == most && least >= 3 && most <= 7, line = least == 1 && (most == 6 || most == 8);
  if (!square && !line) return "kernel without a transform";
  const Reason reason = AcceptsAxis(rows);
  return reason.empty() ? AcceptsAxis(columns) : reason;
}

// Operations on vectors of a transform of n x n numbers to or from r x r: its loads, stores, and columns, then rows.
double TransformCost(const WinogradAxis& rows, const WinogradAxis& columns, int r, int c) {
  return 1.6 * (rows.n * columns.n + columns.n * 2 * rows.n + r * 2 * columns.n + r * c);
}

double CostOf(const Conv& c, int m) {
  const WinogradAxis rows = AxisOf(c, 0, m), columns = AxisOf(c, 1, m);
  const int64_t tiles = rows.tiles() * columns.tiles(), coefficients = rows.n * columns.n, products = rows.products() * columns.products();
  const int64_t channels = c.inPerGroup < kBlock ? c.inPerGroup : Blocks(c.inPerGroup) * kBlock;
  const double steps = static_cast<double>(channels * products) / static_cast<double>(coefficients);
  const double in = static_cast<double>(tiles * c.x.blocks * kBlock) / c.table.lanes * static_cast<double>(products) / static_cast<double>(coefficients) *
                    TransformCost(rows, columns, rows.n, columns.n);
  const double out = static_cast<double>(tiles * ((c.y.blocks * kBlock + c.table.lanes - 1) / c.table.lanes)) * TransformCost(rows, columns, rows.m, columns.m);
  // Products of few channels are short, and what surrounds them takes as long on AVX2, whose tiles are small.
  const double around = c.inPerGroup < kBlock && c.table.lanes == kBlock ? 1.5 : 1;
  const double multiply = around * static_cast<double>(c.groups * coefficients) * PanelsCost(c.table, WholeVectors(c.table, Blocks(c.outPerGroup)), tiles, steps);
  return in + out + multiply + StreamCost(c.table, static_cast<double>(products * channels * c.y.c));
}

}  // namespace

Reason AcceptsWinograd4(const Conv& c) { return Accepts(c, 4); }
Reason AcceptsWinograd2(const Conv& c) { return Accepts(c, 2); }

double CostWinograd4(const Conv& c) { return CostOf(c, 4); }
double CostWinograd2(const Conv& c) { return CostOf(c, 2); }

std::unique_ptr<ConvStep> MakeWinograd4(const Conv& conv) { return std::make_unique<Winograd>(conv, 4); }
std::unique_ptr<ConvStep> MakeWinograd2(const Conv& conv) { return std::make_unique<Winograd>(conv, 2); }

}  // namespace xcorr
