// conv2d by Winograd's minimal filtering, for 3x3 kernels of stride 1 (kernels/winograd.h has the formulas).
//
// The image is cut into tiles of m x m outputs, and those into blocks that fit the second cache. For each block:
//
//   V[i][c][tile]  the tiles' inputs, transformed: n * n coefficients i, n = m + 2
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

#include "../runtime/cpu.h"
#include "conv2d.h"

namespace xcorr {
namespace {

// G of F(m, 3), (m + 2) x 3 row by row, for the points of kernels/winograd.h.
std::vector<double> FilterTransform(int m) {
  const std::vector<double> points = m == 4 ? std::vector<double>{0, 0.625, -0.625, 1.5, -1.5} : std::vector<double>{0, 1, -1};
  std::vector<double> g;
  for (double p : points) {
    double scale = 1;
    for (double q : points) scale *= p == q ? 1 : p - q;
    for (double power : {1.0, p, p * p}) g.push_back(power / scale);
  }
  for (double infinity : {0.0, 0.0, 1.0}) g.push_back(infinity);
  return g;
}

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
Range Share(int64_t all, int64_t parts, int64_t part) { return {all * part / parts, all * (part + 1) / parts}; }

class Winograd : public ConvStep {
 public:
  Winograd(const Conv& conv, int m)
      : ConvStep(conv, false, Copy::kNone), m_(m), n_(m + 2), coefficients_(n_ * n_), tilesX_((out_.w + m - 1) / m), tiles_((out_.h + m - 1) / m * tilesX_),
        channels_(in_.blocks * kBlock) {
    const int64_t tile = conv_.table.tilePixels, widest = conv_.table.tileBlocks * kBlock;
    // V and M of a block fill less than half of the cache; the weights stream through the rest.
    const int64_t fits = static_cast<int64_t>(SecondCacheBytes() * 2 / 5) / (4 * coefficients_ * (channels_ + widest));
    int64_t most = std::clamp(fits / tile, int64_t{1}, std::max<int64_t>(1, 48 / tile)) * tile;
    while (most > tile && tiles_ / most < kManyBlocks) most -= tile;
    blockCount_ = (tiles_ + most - 1) / most;
    // A last block of a few tiles costs nearly as much as a full one.
    if (tiles_ < 2 * tile) blockCount_ = 1;
    blockTiles_ = (tiles_ + blockCount_ - 1) / blockCount_;
    vStep_ = in_.blocks * blockTiles_ * kBlock + 16;  // not a multiple of 4096 bytes: the coefficients would share a cache set
    for (int64_t b = 0; b < out_.blocks; b += conv_.table.tileBlocks) {
      Panel panel;
      panel.firstBlock = b;
      panel.blocks = std::min<int64_t>(conv_.table.tileBlocks, out_.blocks - b);
      panel.lanes = PanelLanes(conv_.table, panel.blocks);
      panel.bias = packedFloats_;
      panel.weights = panel.bias + panel.lanes;
      panel.direct = panel.weights + coefficients_ * channels_ * panel.lanes;
      packedFloats_ = panel.direct + 9 * channels_ * panel.lanes;
      panels_.push_back(panel);
    }
    for (int64_t c = 0; c < in_.blocks; ++c) {
      taps_.push_back(c * blockTiles_ * kBlock);
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t j = 0; j < 3; ++j) patchTaps_.push_back((c * coefficients_ + i * n_ + j) * kBlock);
      }
    }
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }
  int64_t workFloats() const override { return fused() ? 0 : blockCount_ * vFloats(); }

  void Pack(const float* weight, const float* bias, float* to) const override {
    const std::vector<double> g = FilterTransform(m_);
    std::vector<double> u(static_cast<size_t>(coefficients_));
    for (const Panel& panel : panels_) {
      for (int64_t l = 0; l < panel.lanes; ++l) {
        const int64_t o = panel.firstBlock * kBlock + l;
        const bool real = o < out_.c && l < panel.blocks * kBlock;
        to[panel.bias + l] = real && bias ? bias[o] : 0.0f;
        for (int64_t c = 0; c < channels_; ++c) {
          const float* w = real && c < in_.c ? weight + (o * in_.c + c) * 9 : nullptr;
          TransformFilter(g, w, &u);
          for (int64_t i = 0; i < coefficients_; ++i) {
            to[panel.weights + (i * channels_ + c) * panel.lanes + l] = static_cast<float>(u[static_cast<size_t>(i)]);
          }
          for (int64_t t = 0; t < 9; ++t) {
            to[panel.direct + ((c / kBlock * 9 + t) * kBlock + c % kBlock) * panel.lanes + l] = w ? w[t] : 0.0f;
          }
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

  struct Panel {
    int64_t firstBlock, blocks, lanes;
    int64_t bias, weights, direct;  // in floats, in the packed data
  };

  bool fused() const { return blockCount_ >= kManyBlocks; }
  int64_t vFloats() const { return coefficients_ * vStep_; }
  int64_t mStep() const { return blockTiles_ * conv_.table.tileBlocks * kBlock + 16; }
  int64_t mFloats() const { return coefficients_ * mStep(); }
  int64_t patchFloats() const { return channels_ * coefficients_; }
  Range TilesOf(int64_t block) const { return Share(tiles_, blockCount_, block); }

  // G w G^T.
  void TransformFilter(const std::vector<double>& g, const float* w, std::vector<double>* u) const {
    for (int y = 0; y < n_; ++y) {
      for (int x = 0; x < n_; ++x) {
        double sum = 0;
        for (int t = 0; w && t < 9; ++t) sum += g[static_cast<size_t>(y * 3 + t / 3)] * g[static_cast<size_t>(x * 3 + t % 3)] * static_cast<double>(w[t]);
        (*u)[static_cast<size_t>(y * n_ + x)] = sum;
      }
    }
  }

  // Copies a tile's input, zeros outside the image.
  void CopyPatch(const float* plane, int64_t top, int64_t left, float* to) const {
    for (int64_t i = 0; i < n_; ++i) {
      const bool row = top + i >= 0 && top + i < in_.h;
      for (int64_t j = 0; j < n_; ++j) {
        const bool inside = row && left + j >= 0 && left + j < in_.w;
        float* pixel = to + (i * n_ + j) * kBlock;
        if (inside) std::memcpy(pixel, plane + ((top + i) * in_.w + left + j) * kBlock, kBlock * sizeof(float));
        else std::memset(pixel, 0, kBlock * sizeof(float));
      }
    }
  }

  void TransformTiles(int64_t block, Range channelBlocks, const float* in, float* v) const {
    const Range tiles = TilesOf(block);
    // A few tiles at a time: their copies, if they hang over an edge, lie on the stack.
    constexpr int64_t kSome = 8;
    float patches[kSome * 36 * kBlock];
    WinogradTile sources[kSome];
    for (int64_t first = tiles.begin; first < tiles.end; first += kSome) {
      const int64_t count = std::min(kSome, tiles.end - first);
      for (int64_t c = channelBlocks.begin; c < channelBlocks.end; ++c) {
        const float* plane = in + c * in_.plane() * kBlock;
        for (int64_t t = 0; t < count; ++t) {
          const int64_t top = (first + t) / tilesX_ * m_ - conv_.padding.top, left = (first + t) % tilesX_ * m_ - conv_.padding.left;
          if (top >= 0 && left >= 0 && top + n_ <= in_.h && left + n_ <= in_.w) {
            sources[t] = {plane + (top * in_.w + left) * kBlock, in_.w * kBlock};
          } else {
            float* patch = patches + t * coefficients_ * kBlock;
            CopyPatch(plane, top, left, patch);
            sources[t] = {patch, n_ * kBlock};
          }
        }
        float* to = v + (c * blockTiles_ + first - tiles.begin) * kBlock;
        conv_.table.WinogradInput({m_, sources, static_cast<int>(count), to, vStep_});
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
      args.taps = taps_.data();
      args.tapCount = in_.blocks;
      args.unit = kBlock;
      args.bias = kZeros;
      args.outPixel = panel.lanes;
      args.outBlock = kBlock;
      args.blocks = static_cast<int>(panel.lanes / kBlock);  // whole vectors: all of M is written
      for (int64_t i = 0; i < coefficients_; ++i) {
        args.weights = packed + panel.weights + i * channels_ * panel.lanes;
        Ahead ahead(NextWeights(p, i, packed), channels_ * panel.lanes, parts);
        for (int64_t part = 0; part < parts; ++part) {
          const Range some = Share(tiles.size(), parts, part);
          ahead.Next(&args);
          args.in = v + i * vStep_ + some.begin * kBlock;
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
    const int64_t y = tile / tilesX_ * m_, x = tile % tilesX_ * m_;
    return {((panel.firstBlock * out_.h + y) * out_.w + x) * kBlock, static_cast<int>(std::min<int64_t>(m_, out_.h - y)),
            static_cast<int>(std::min<int64_t>(m_, out_.w - x))};
  }

  // False if an output was not finite.
  bool TransformBack(Range tiles, const Panel& panel, const float* packed, const float* m, const float* residual, float* out) const {
    float poison[16] = {};
    WinogradOutputArgs args = {};
    args.m = m_;
    args.inCoefficient = mStep();
    args.bias = packed + panel.bias;
    args.outRow = out_.w * kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused;
    args.poison = poison;
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const Place place = PlaceOf(t, panel);
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
    args.outPixel = kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused;
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const int64_t top = t / tilesX_ * m_ - conv_.padding.top, left = t % tilesX_ * m_ - conv_.padding.left;
      for (int64_t c = 0; c < in_.blocks; ++c) CopyPatch(in + c * in_.plane() * kBlock, top, left, patch + c * coefficients_ * kBlock);
      const Place place = PlaceOf(t, panel);
      for (int64_t y = 0; y < place.rows; ++y) {
        args.in = patch + y * n_ * kBlock;
        args.pixels = place.columns;
        args.out = out + place.at + y * out_.w * kBlock;
        args.residual = residual ? residual + place.at + y * out_.w * kBlock : nullptr;
        conv_.table.ConvTile(args);
      }
    }
  }

  int m_;
  int64_t n_, coefficients_, tilesX_, tiles_, channels_;
  int64_t blockCount_ = 1, blockTiles_ = 1, vStep_ = 0, packedFloats_ = 0;
  std::vector<Panel> panels_;
  std::vector<ptrdiff_t> taps_, patchTaps_;
};

Reason AcceptsAnyWinograd(const Conv& c) {
  if (!c.winograd) return "switched off";
  if (c.kh != 3 || c.kw != 3) return "kernel not 3x3";
  if (c.groups != 1) return "groups";
  if (c.stride[0] != 1 || c.stride[1] != 1) return "stride";
  if (c.dilation[0] != 1 || c.dilation[1] != 1) return "dilation";
  if (c.x.c < kBlock) return "fewer than 8 input channels";
  return "";
}

}  // namespace

Reason AcceptsWinograd4(const Conv& c) {
  const Reason reason = AcceptsAnyWinograd(c);
  if (!reason.empty()) return reason;
  return c.y.h >= 10 && c.y.w >= 10 ? "" : "output smaller than 10x10";
}

Reason AcceptsWinograd2(const Conv& c) {
  const Reason reason = AcceptsAnyWinograd(c);
  if (!reason.empty()) return reason;
  return c.y.h >= 5 && c.y.w >= 5 ? "" : "output smaller than 5x5";
}

std::unique_ptr<ConvStep> MakeWinograd4(const Conv& conv) { return std::make_unique<Winograd>(conv, 4); }
std::unique_ptr<ConvStep> MakeWinograd2(const Conv& conv) { return std::make_unique<Winograd>(conv, 2); }

}  // namespace xcorr
