// convTranspose2d whose kernels stand side by side, into few channels of a plain image: the last layer of a decoder. Every output pixel is made of one
// input pixel by one tap, so all taps of all output channels are the outputs of one product, which is then scattered. By phases, each phase would fill a
// block of 8 channels with those few (1 channel, 2x2: 4 products of which 7 / 8 are thrown away, and as much to reorder).
#include <algorithm>

#include "convTranspose.h"

namespace xcorr {
namespace {

// The lanes of one output row from block to block of a row of products.
template <int64_t kWidth>
void ScatterRow(const float* from, int64_t pixels, int64_t width, float* out) {
  const int64_t count = kWidth ? kWidth : width;
  for (int64_t x = 0; x < pixels; ++x, out += count) {
    for (int64_t j = 0; j < count; ++j) out[j] = from[x * kBlock + j];
  }
}

class Scattered : public ConvStep {
 public:
  explicit Scattered(const Conv& conv) : ConvStep(conv, false, Copy::kNone, true), lanes_(out_.c * conv.kh * conv.kw), blocks_(Blocks(lanes_)) {
    for (int64_t b = 0; b < blocks_; b += panels_.back().blocks) {
      const int64_t blocks = PanelBlocks(conv.table, blocks_ - b);
      panels_.push_back({b, blocks, blocks * kBlock, packedFloats_});
      packedFloats_ += panels_.back().lanes * (1 + in_.blocks * kBlock);
    }
    for (int64_t c = 0; c < in_.blocks; ++c) taps_.push_back(c * in_.plane() * kBlock);
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    for (const Panel& panel : panels_) {
      for (int64_t c = -1; c < in_.blocks * kBlock; ++c) {  // -1: the bias
        for (int64_t l = 0; l < panel.lanes; ++l) {
          const int64_t lane = panel.firstBlock * kBlock + l;
          const bool real = lane < lanes_ && c < in_.c && (c >= 0 || bias);
          *to++ = !real ? 0.0f : c < 0 ? bias[lane / (conv_.kh * conv_.kw)] : weight[c * lanes_ + lane];
        }
      }
    }
  }

  void RunImage(Team& team, const float* packed, const float* in, const float*, float* out, float*) const override {
    const int64_t rows = std::max<int64_t>(1, kRowFloats / (in_.w * blocks_ * kBlock)), runs = (in_.h + rows - 1) / rows;
    team.Run(runs, [&](int64_t run, int) {
      float* products = ThreadScratch(static_cast<size_t>(in_.w * blocks_ * kBlock));
      for (int64_t y = run * rows; y < std::min(in_.h, (run + 1) * rows); ++y) {
        for (const Panel& panel : panels_) RunRow(panel, packed + panel.data, in + y * in_.w * kBlock, products);
        for (int64_t row = 0; row < out_.c * conv_.kh; ++row) {
          Scatter(products, row * conv_.kw, out + (row / conv_.kh * out_.h + y * conv_.kh + row % conv_.kh) * out_.w);
        }
      }
    });
  }

 private:
  struct Panel {
    int64_t firstBlock, blocks, lanes;
    int64_t data;  // in floats, in the packed data: bias, then weights
  };

  void RunRow(const Panel& panel, const float* data, const float* in, float* products) const {
    ConvTileArgs args = {};
    args.inPixel = kBlock;
    SetTaps(&args, taps_.data(), in_.blocks);
    args.unit = kBlock;
    args.weights = data + panel.lanes;
    args.bias = data;
    args.outPixel = kBlock;
    args.outBlock = in_.w * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused;
    const int64_t tiles = TilesOf(conv_.table, panel.blocks, in_.w);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t x = in_.w * t / tiles;
      args.pixels = static_cast<int>(in_.w * (t + 1) / tiles - x);
      args.in = in + x * kBlock;
      args.out = products + panel.firstBlock * args.outBlock + x * kBlock;
      conv_.table.ConvTile(args);
    }
  }

  // Lanes first .. first + kw - 1 of every product of a row, to an output row.
  void Scatter(const float* products, int64_t first, float* out) const {
    const auto at = [&](int64_t lane) { return products + lane / kBlock * in_.w * kBlock + lane % kBlock; };
    if (first % kBlock + conv_.kw > kBlock) {
      for (int64_t j = 0; j < conv_.kw; ++j) {
        for (int64_t x = 0; x < in_.w; ++x) out[x * conv_.kw + j] = at(first + j)[x * kBlock];
      }
    } else if (conv_.kw == 2) {
      ScatterRow<2>(at(first), in_.w, 2, out);
    } else {
      ScatterRow<0>(at(first), in_.w, conv_.kw, out);
    }
  }

  static constexpr int64_t kRowFloats = 16384;  // of the products of one task

  int64_t lanes_, blocks_;
  std::vector<Panel> panels_;
  std::vector<ptrdiff_t> taps_;
  int64_t packedFloats_ = 0;
};

}  // namespace

Reason AcceptsScattered(const Conv& c) {
  if (c.y.blocked) return "an output in blocks";
  if (c.groups != 1) return "groups";
  if (c.padding.any() || c.kh != c.stride[0] || c.kw != c.stride[1] || c.dilation[0] * c.dilation[1] != 1) return "kernels that overlap, or gaps between";
  if (c.y.h != c.x.h * c.kh || c.y.w != c.x.w * c.kw) return "an output of another size";
  const int64_t taps = c.kh * c.kw;
  return Blocks(c.y.c * taps) < taps * Blocks(c.y.c) ? "" : "channels that fill their blocks";
}

std::unique_ptr<ConvStep> MakeScattered(const Conv& conv) { return std::make_unique<Scattered>(conv); }

}  // namespace xcorr
