// conv2d by Winograd's minimal filtering, for small kernels of stride 1 (kernels/winograd.h has the formulas).
//
// The image is cut into tiles of m x m outputs (m x 1 or 1 x m if the kernel is a column or a row), and those into blocks that fit the second cache; with
// a dilation d, the pixels of a tile lie d apart. For each block:
//
//   V[i][c][tile]  the tiles' inputs, transformed: n * n coefficients i, n = m + kernel - 1
//   M[i][tile][o]  for each panel of output channels and each i, a product of V[i] and the transformed weights, by the tile kernel
//   out            M transformed back, with bias, residual and activation
//
// With many blocks a task is a block; with few, the threads first share the transforms, then the panels.
//
// A value that is not finite would spread over its tile, and huge ones can overflow in the transforms: when that shows in the results, the block is
// done again directly.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "../runtime/cpu.h"
#include "convCost.h"

namespace xcorr {
namespace {

// G of F(m, taps), n x taps row by row, for the points of kernels/winogradPoints.h.
std::vector<double> FilterTransform(int n, int64_t taps) {
  if (n == 1) return {1};
  std::vector<double> points = {0}, g;
  for (int pair = 0; pair < WinogradPairs(n); ++pair) {
    points.push_back(WinogradPoint(n, pair));
    points.push_back(-WinogradPoint(n, pair));
  }
  for (double p : points) {
    double scale = 1, power = 1;
    for (double q : points) scale *= p == q ? 1 : p - q;
    for (int64_t t = 0; t < taps; ++t, power *= p) g.push_back(power / scale);
  }
  for (int64_t t = 0; t < taps; ++t) g.push_back(t + 1 == taps ? 1 : 0);
  return g;
}

// Tiles along one axis. With a dilation d, outputs d apart make d rows of tiles of their own.
struct Axis {
  Axis(int64_t kernel, int64_t outputs, int64_t dilationOf, int most)
      : taps(kernel), out(outputs), dilation(dilationOf), m(kernel == 1 ? 1 : most), n(static_cast<int>(m + kernel - 1)), perPhase(((out + dilation - 1) / dilation + m - 1) / m) {}
  int64_t tiles() const { return perPhase * dilation; }
  // The first output of a tile; how many it has, perhaps none.
  int64_t First(int64_t tile) const { return tile / perPhase + tile % perPhase * m * dilation; }
  int Count(int64_t tile) const { return static_cast<int>(std::clamp<int64_t>((out - First(tile) + dilation - 1) / dilation, 0, m)); }
  int64_t taps, out, dilation;
  int m, n;
  int64_t perPhase;
};

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
// Blocks whose channels fill vectors: M is transformed back by whole ones.
int64_t WholeVectors(const Conv& c, int64_t blocks) {
  const int64_t perVector = std::max<int64_t>(1, c.table.lanes / kBlock);
  return (blocks + perVector - 1) / perVector * perVector;
}
Range Share(int64_t all, int64_t parts, int64_t part) { return {all * part / parts, all * (part + 1) / parts}; }

class Winograd : public ConvStep {
 public:
  Winograd(const Conv& conv, int m)
      : ConvStep(conv, false, Copy::kNone), rows_(conv_.kh, out_.h, conv_.dilation[0], m), columns_(conv_.kw, out_.w, conv_.dilation[1], m), taps_(conv_.kh * conv_.kw),
        coefficients_(rows_.n * columns_.n), tiles_(rows_.tiles() * columns_.tiles()), groupBlocks_(Blocks(conv_.inPerGroup)),
        channels_(groupBlocks_ * kBlock) {
    const int64_t tile = conv_.table.tilePixels, widest = conv_.table.tileBlocks * kBlock;
    // V and M of a block fill less than half of the cache; the weights stream through the rest.
    const int64_t fits = static_cast<int64_t>(SecondCacheBytes() * 2 / 5) / (4 * coefficients_ * (in_.blocks * kBlock + widest));
    int64_t most = std::clamp(fits / tile, int64_t{1}, std::max<int64_t>(1, 48 / tile)) * tile;
    while (most > tile && tiles_ / most < kManyBlocks) most -= tile;
    blockCount_ = (tiles_ + most - 1) / most;
    // A last block of a few tiles costs nearly as much as a full one.
    if (tiles_ < 2 * tile) blockCount_ = 1;
    blockTiles_ = (tiles_ + blockCount_ - 1) / blockCount_;
    vStep_ = in_.blocks * blockTiles_ * kBlock + 16;  // not a multiple of 4096 bytes: the coefficients would share a cache set
    const int64_t outBlocks = Blocks(conv_.outPerGroup);
    for (int64_t b = 0; b < conv_.groups * outBlocks; b += panels_.back().blocks) {
      Panel panel;
      panel.firstBlock = b;
      panel.firstInput = b / outBlocks * groupBlocks_;
      panel.blocks = std::min<int64_t>(conv_.table.tileBlocks, outBlocks - b % outBlocks);
      panel.lanes = WholeVectors(conv_, panel.blocks) * kBlock;
      panel.bias = packedFloats_;
      panel.weights = panel.bias + panel.lanes;
      panel.direct = panel.weights + coefficients_ * channels_ * panel.lanes;
      packedFloats_ = panel.direct + taps_ * channels_ * panel.lanes;
      panels_.push_back(panel);
    }
    for (int64_t c = 0; c < groupBlocks_; ++c) {
      blockTaps_.push_back(c * blockTiles_ * kBlock);
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; ++j) patchTaps_.push_back((c * coefficients_ + i * columns_.n + j) * kBlock);
      }
    }
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }
  int64_t workFloats() const override { return fused() ? 0 : blockCount_ * vFloats(); }

  void Pack(const float* weight, const float* bias, float* to) const override {
    const std::vector<double> gRows = FilterTransform(rows_.n, conv_.kh), gColumns = FilterTransform(columns_.n, conv_.kw);
    std::vector<float> u(static_cast<size_t>(coefficients_));
    for (const Panel& panel : panels_) {
      std::fill(to + panel.bias, to + panel.direct + taps_ * channels_ * panel.lanes, 0.0f);
      const int64_t first = panel.firstBlock * kBlock, lanes = std::min(out_.c - first, panel.blocks * kBlock);
      if (bias) std::copy(bias + first, bias + first + lanes, to + panel.bias);
      for (int64_t c = 0; c < conv_.inPerGroup; ++c) {
        for (int64_t l = 0; l < lanes; ++l) {
          const float* w = weight + ((first + l) * conv_.inPerGroup + c) * taps_;
          TransformFilter(gRows, gColumns, w, u.data());
          for (int64_t i = 0; i < coefficients_; ++i) to[panel.weights + (i * channels_ + c) * panel.lanes + l] = u[static_cast<size_t>(i)];
          for (int64_t t = 0; t < taps_; ++t) to[panel.direct + ((c / kBlock * taps_ + t) * kBlock + c % kBlock) * panel.lanes + l] = w[t];
        }
      }
    }
  }

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float* work) const override {
    const int64_t panels = static_cast<int64_t>(panels_.size());
    if (fused()) {
      team.Run(blockCount_, [&](int64_t block, int) {
        float* v = ThreadScratch(static_cast<size_t>(vFloats() + mFloats() + patchFloats()));
        TransformTiles(block, {0, in_.blocks}, in, v);
        MultiplyTiles(block, {0, panels}, packed, v, v + vFloats(), in, residual, out);
      });
      return;
    }
    const int64_t inputParts = std::min<int64_t>(in_.blocks, kManyBlocks);
    team.Run(blockCount_ * inputParts, [&](int64_t task, int) {
      const int64_t block = task / inputParts;
      TransformTiles(block, Share(in_.blocks, inputParts, task % inputParts), in, work + block * vFloats());
    });
    // All blocks of a panel one after another, so that its weights are read from afar once.
    team.Run(panels, [&](int64_t panel, int) {
      float* m = ThreadScratch(static_cast<size_t>(mFloats() + patchFloats()));
      for (int64_t block = 0; block < blockCount_; ++block) {
        MultiplyTiles(block, {panel, panel + 1}, packed, work + block * vFloats(), m, in, residual, out);
      }
    });
  }

 private:
  // Fewer blocks than this do not keep the threads of a large machine busy.
  static constexpr int64_t kManyBlocks = 8;
  static constexpr int64_t kMostInputs = 8, kMostTaps = 7;

  struct Panel {
    int64_t firstBlock, blocks, lanes;
    int64_t firstInput;             // block of its group
    int64_t bias, weights, direct;  // in floats, in the packed data
  };

  bool fused() const { return blockCount_ >= kManyBlocks; }
  int64_t vFloats() const { return coefficients_ * vStep_; }
  int64_t mStep() const { return blockTiles_ * conv_.table.tileBlocks * kBlock + 16; }
  int64_t mFloats() const { return coefficients_ * mStep(); }
  int64_t patchFloats() const { return channels_ * coefficients_; }
  Range TilesOf(int64_t block) const { return Share(tiles_, blockCount_, block); }

  // G w G^T, columns first.
  void TransformFilter(const std::vector<double>& gRows, const std::vector<double>& gColumns, const float* w, float* u) const {
    double half[kMostInputs * kMostTaps];  // rows of w by columns of u
    for (int64_t i = 0; i < conv_.kh; ++i) {
      for (int64_t x = 0; x < columns_.n; ++x) {
        double sum = 0;
        for (int64_t j = 0; j < conv_.kw; ++j) sum += gColumns[static_cast<size_t>(x * conv_.kw + j)] * static_cast<double>(w[i * conv_.kw + j]);
        half[i * columns_.n + x] = sum;
      }
    }
    for (int64_t y = 0; y < rows_.n; ++y) {
      for (int64_t x = 0; x < columns_.n; ++x) {
        double sum = 0;
        for (int64_t i = 0; i < conv_.kh; ++i) sum += gRows[static_cast<size_t>(y * conv_.kh + i)] * half[i * columns_.n + x];
        u[y * columns_.n + x] = static_cast<float>(sum);
      }
    }
  }

  // The input pixel that a tile begins with.
  struct Corner {
    int64_t top, left;
  };
  Corner CornerOf(int64_t tile) const {
    return {rows_.First(tile / columns_.tiles()) - conv_.padding.top, columns_.First(tile % columns_.tiles()) - conv_.padding.left};
  }

  // Copies a tile's input, zeros outside the image.
  void CopyPatch(const float* plane, Corner corner, float* to) const {
    for (int64_t i = 0; i < rows_.n; ++i) {
      const int64_t y = corner.top + i * rows_.dilation;
      for (int64_t j = 0; j < columns_.n; ++j, to += kBlock) {
        const int64_t x = corner.left + j * columns_.dilation;
        if (y >= 0 && y < in_.h && x >= 0 && x < in_.w) std::memcpy(to, plane + (y * in_.w + x) * kBlock, kBlock * sizeof(float));
        else std::memset(to, 0, kBlock * sizeof(float));
      }
    }
  }

  void TransformTiles(int64_t block, Range channelBlocks, const float* in, float* v) const {
    const Range tiles = TilesOf(block);
    // A few tiles at a time: their copies, if they hang over an edge, lie on the stack.
    constexpr int64_t kSome = 8;
    float patches[kSome * 36 * kBlock];
    Corner corners[kSome];
    WinogradTile sources[kSome];
    for (int64_t first = tiles.begin; first < tiles.end; first += kSome) {
      const int64_t count = std::min(kSome, tiles.end - first);
      for (int64_t t = 0; t < count; ++t) corners[t] = CornerOf(first + t);
      for (int64_t c = channelBlocks.begin; c < channelBlocks.end; ++c) {
        const float* plane = in + c * in_.plane() * kBlock;
        for (int64_t t = 0; t < count; ++t) {
          const auto [top, left] = corners[t];
          if (top >= 0 && left >= 0 && top + (rows_.n - 1) * rows_.dilation < in_.h && left + (columns_.n - 1) * columns_.dilation < in_.w) {
            sources[t] = {plane + (top * in_.w + left) * kBlock, rows_.dilation * in_.w * kBlock, columns_.dilation * kBlock};
          } else {
            float* patch = patches + t * coefficients_ * kBlock;
            CopyPatch(plane, corners[t], patch);
            sources[t] = {patch, columns_.n * kBlock, kBlock};
          }
        }
        float* to = v + (c * blockTiles_ + first - tiles.begin) * kBlock;
        conv_.table.WinogradInput({{rows_.n, columns_.n}, sources, static_cast<int>(count), to, vStep_});
      }
    }
  }

  void MultiplyTiles(int64_t block, Range panels, const float* packed, const float* v, float* m, const float* in, const float* residual, float* out) const {
    const Range tiles = TilesOf(block);
    const int64_t parts = (tiles.size() + conv_.table.tilePixels - 1) / conv_.table.tilePixels;
    static const float kZeros[64] = {};
    for (int64_t p = panels.begin; p < panels.end; ++p) {
      const Panel& panel = panels_[static_cast<size_t>(p)];
      ConvTileArgs args = {};
      args.inPixel = kBlock;
      args.taps = blockTaps_.data();
      args.tapCount = groupBlocks_;
      args.unit = kBlock;
      args.bias = kZeros;
      args.outPixel = panel.lanes;
      args.outBlock = kBlock;
      args.blocks = static_cast<int>(panel.lanes / kBlock);
      for (int64_t i = 0; i < coefficients_; ++i) {
        args.weights = packed + panel.weights + i * channels_ * panel.lanes;
        Ahead ahead(NextWeights(p, i, packed), channels_ * panel.lanes, parts);
        for (int64_t part = 0; part < parts; ++part) {
          const Range some = Share(tiles.size(), parts, part);
          ahead.Next(&args);
          args.in = v + i * vStep_ + (panel.firstInput * blockTiles_ + some.begin) * kBlock;
          args.out = m + i * mStep() + some.begin * panel.lanes;
          args.pixels = static_cast<int>(some.size());
          conv_.table.ConvTile(args);
        }
      }
      if (!TransformBack(tiles, panel, packed, m, residual, out)) RunDirectly(tiles, panel, packed, m + mFloats(), in, residual, out);
    }
  }

  // What the product after coefficient i of panel p multiplies with.
  const float* NextWeights(int64_t p, int64_t i, const float* packed) const {
    const Panel& panel = panels_[static_cast<size_t>(p)];
    if (i + 1 < coefficients_) return packed + panel.weights + (i + 1) * channels_ * panel.lanes;
    const size_t next = static_cast<size_t>(p + 1);
    return next < panels_.size() && panels_[next].lanes == panel.lanes ? packed + panels_[next].weights : nullptr;
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
    args.activation = conv_.epilogue.fused;
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
    return std::none_of(poison, poison + 16, [](float p) { return std::isnan(p); });
  }

  void RunDirectly(Range tiles, const Panel& panel, const float* packed, float* patch, const float* in, const float* residual, float* out) const {
    ConvTileArgs args = {};
    args.inPixel = kBlock;
    args.taps = patchTaps_.data();
    args.tapCount = static_cast<int64_t>(patchTaps_.size());
    args.unit = kBlock;
    args.weights = packed + panel.direct;
    args.bias = packed + panel.bias;
    args.outPixel = columns_.dilation * kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused;
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const Place place = PlaceOf(t, panel);
      if (place.columns == 0) continue;
      for (int64_t c = 0; c < groupBlocks_; ++c) CopyPatch(in + (panel.firstInput + c) * in_.plane() * kBlock, CornerOf(t), patch + c * coefficients_ * kBlock);
      for (int64_t y = 0; y < place.rows; ++y) {
        args.in = patch + y * columns_.n * kBlock;
        args.pixels = place.columns;
        const int64_t row = place.at + y * rows_.dilation * out_.w * kBlock;
        args.out = out + row;
        args.residual = residual ? residual + row : nullptr;
        conv_.table.ConvTile(args);
      }
    }
  }

  Axis rows_, columns_;
  int64_t taps_, coefficients_, tiles_, groupBlocks_, channels_;  // channels_: of a group, whole blocks
  int64_t blockCount_ = 1, blockTiles_ = 1, vStep_ = 0, packedFloats_ = 0;
  std::vector<Panel> panels_;
  std::vector<ptrdiff_t> blockTaps_, patchTaps_;
};

// Outputs along an axis that the kernel covers, in each phase of a dilation; very many where it has one tap.
int64_t Outputs(int64_t kernel, int64_t out, int64_t dilation) { return kernel == 1 ? 1 << 20 : out / dilation; }

Reason AcceptsTiles(const Conv& c, int64_t least) {
  if (!c.winograd) return "switched off";
  if (!FillsBlocks(c)) return "groups that do not fill blocks of 8 channels";
  if (c.stride[0] != 1 || c.stride[1] != 1) return "stride";
  if (c.inPerGroup < kBlock) return "fewer than 8 input channels";
  const bool large = Outputs(c.kh, c.y.h, c.dilation[0]) >= least && Outputs(c.kw, c.y.w, c.dilation[1]) >= least;
  return large ? "" : "output smaller than " + std::to_string(least);
}

// Operations on vectors of a transform of n x n numbers to or from r x r: its loads, stores, and columns, then rows.
double TransformCost(const Axis& rows, const Axis& columns, int r, int c) {
  return 1.6 * (rows.n * columns.n + columns.n * 2 * rows.n + r * 2 * columns.n + r * c);
}

double CostOf(const Conv& c, int m) {
  const Axis rows(c.kh, c.y.h, c.dilation[0], m), columns(c.kw, c.y.w, c.dilation[1], m);
  const int64_t tiles = rows.tiles() * columns.tiles(), channels = Blocks(c.inPerGroup) * kBlock, coefficients = rows.n * columns.n;
  const double in = static_cast<double>(tiles * c.x.blocks * kBlock) / c.table.lanes * TransformCost(rows, columns, rows.n, columns.n);
  const double out = static_cast<double>(tiles * ((c.y.blocks * kBlock + c.table.lanes - 1) / c.table.lanes)) * TransformCost(rows, columns, rows.m, columns.m);
  const double products = static_cast<double>(c.groups * coefficients) * PanelsCost(c.table, WholeVectors(c, Blocks(c.outPerGroup)), tiles, static_cast<double>(channels));
  return in + out + products + StreamCost(c.table, static_cast<double>(coefficients * channels * c.y.c));
}

bool IsKernel(const Conv& c, int64_t rows, int64_t columns) { return c.kh == rows && c.kw == columns; }

}  // namespace

Reason AcceptsWinograd4(const Conv& c) {
  const bool kernel = IsKernel(c, 3, 3) || IsKernel(c, 1, 3) || IsKernel(c, 3, 1);
  return kernel ? AcceptsTiles(c, 5) : "kernel not of 3 taps";
}

Reason AcceptsWinograd2(const Conv& c) {
  const bool kernel = IsKernel(c, 3, 3) || IsKernel(c, 5, 5) || IsKernel(c, 1, 5) || IsKernel(c, 5, 1) || IsKernel(c, 1, 7) || IsKernel(c, 7, 1);
  return kernel ? AcceptsTiles(c, 5) : "kernel not of 3, 5 or 7 taps";
}

double CostWinograd4(const Conv& c) { return CostOf(c, 4); }
double CostWinograd2(const Conv& c) { return CostOf(c, 2); }

std::unique_ptr<ConvStep> MakeWinograd4(const Conv& conv) { return std::make_unique<Winograd>(conv, 4); }
std::unique_ptr<ConvStep> MakeWinograd2(const Conv& conv) { return std::make_unique<Winograd>(conv, 2); }

}  // namespace xcorr
