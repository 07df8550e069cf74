// conv2dWeightGradient, by the tile kernel: each number of the gradient is a sum over all output pixels of all images, so those are the taps, the
// gradient of the output, [pixel][output channel], is what convolutions have as weights, and a tile's "pixels" are input channels (or, where
// those are few, columns of the kernel).
//
//   dw[o][c][i][j] = sum over t = (n, y, x) of  input[c][place of t + i, j] * dy[t][o]
#include <algorithm>
#include <cstring>

#include "conv2d.h"
#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

struct WeightGradient {
  explicit WeightGradient(const Problem& p)
      : x(p.inputs[0]), dy(p.inputs[1]), weight(p.outputs[0]), stride(p.attributes.Ints("stride")), dilation(p.attributes.Ints("dilation")),
        groups(p.attributes.Int("groups", 1)), table(p.kernels) {
    const std::vector<int64_t> pads = p.attributes.Ints("padding");
    padding = {pads[0], pads[1], pads[2], pads[3]};
    perGroup = weight.shape[1];
    kh = weight.shape[2];
    kw = weight.shape[3];
    outPerGroup = weight.shape[0] / groups;
    row = x.w + padding.left + padding.right;
    plane = (x.h + padding.top + padding.bottom) * row;
    lanes = std::min<int64_t>(table->tileBlocks, Blocks(outPerGroup)) * kBlock;
    panelsPerGroup = (outPerGroup + lanes - 1) / lanes;
    taps.reserve(static_cast<size_t>(dy.n * dy.plane()));
    for (int64_t n = 0; n < dy.n; ++n) {
      for (int64_t y = 0; y < dy.h; ++y) {
        const int64_t line = n * x.c * plane + y * stride[0] * row;
        for (int64_t i = 0; i < dy.w; ++i) taps.push_back(line + i * stride[1]);
      }
    }
  }
  Image x, dy;
  TensorDesc weight;
  std::vector<int64_t> stride, dilation;
  Padding padding;
  int64_t groups, perGroup, outPerGroup, kh, kw, row, plane, lanes, panelsPerGroup;
  std::vector<ptrdiff_t> taps;
  const KernelTable* table;

  // Columns of the kernel go side by side in a tile if they fill it better than channels do.
  bool alongColumns() const { return kw > perGroup; }
  int64_t panelFloats() const { return static_cast<int64_t>(taps.size()) * lanes; }
};

// dy of one panel of output channels and one image as [pixel][lanes], zeros past the last channel.
void PackImage(const WeightGradient& w, int64_t panel, int64_t n, const float* dy, float* to) {
  const int64_t first = panel / w.panelsPerGroup * w.outPerGroup + panel % w.panelsPerGroup * w.lanes;
  const int64_t count = std::min(w.lanes, w.outPerGroup - panel % w.panelsPerGroup * w.lanes);
  const int64_t plane = w.dy.plane();
  float* image = to + n * plane * w.lanes;
  const float* from = dy + (n * w.dy.c + first) * plane;
  for (int64_t i = 0; i < plane; ++i, image += w.lanes) {
    for (int64_t l = 0; l < count; ++l) image[l] = from[l * plane + i];
    for (int64_t l = count; l < w.lanes; ++l) image[l] = 0.0f;
  }
}

// One tile: `count` channels from c on at tap (i, j) of the kernel, or `count` columns from j on of channel c.
void RunTile(const WeightGradient& w, int64_t panel, int64_t c, int64_t i, int64_t j, int64_t count, const float* packed, const float* x, float* dw) {
  static const float kZeros[64] = {};
  float sums[64 * 64];
  const int64_t group = panel / w.panelsPerGroup, firstLane = panel % w.panelsPerGroup * w.lanes;
  ConvTileArgs args = {};
  args.in = x + (group * w.perGroup + c) * w.plane + i * w.dilation[0] * w.row + j * w.dilation[1];
  args.inPixel = w.alongColumns() ? w.dilation[1] : w.plane;
  SetTaps(&args, w.taps.data(), static_cast<int64_t>(w.taps.size()));
  args.unit = 1;
  args.weights = packed;
  args.bias = kZeros;
  args.out = sums;
  args.outPixel = w.lanes;
  args.outBlock = kBlock;
  args.pixels = static_cast<int>(count);
  args.blocks = static_cast<int>(w.lanes / kBlock);
  w.table->ConvTile(args);
  for (int64_t l = 0; l < std::min(w.lanes, w.outPerGroup - firstLane); ++l) {
    const int64_t o = group * w.outPerGroup + firstLane + l;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t channel = w.alongColumns() ? c : c + k, column = w.alongColumns() ? j + k : j;
      dw[((o * w.perGroup + channel) * w.kh + i) * w.kw + column] = sums[k * w.lanes + l];
    }
  }
}

}  // namespace

std::unique_ptr<Step> Make_conv2dWeightGradient(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const WeightGradient w(p);
  if (w.taps.empty()) throw Declined("no output pixels");
  const int64_t padded = w.padding.any() ? w.x.n * PaddedFloats(w.x, w.padding) : 0;
  return MakeFunction("tiles over pixels", [w, padded](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    const float* x = In(inputs, 0);
    float* area = static_cast<float*>(scratch);
    const int64_t image = w.x.c * w.x.plane();
    const auto pad = [&](int64_t n, int) {
      SerialTeam alone;
      PadImage(alone, w.x, w.padding, x + n * image, area + n * PaddedFloats(w.x, w.padding));
    };
    if (padded > 0) team.Run(w.x.n, pad);
    if (padded > 0) x = area;
    float* packed = area + (padded + 15) / 16 * 16;
    const int64_t panels = w.groups * w.panelsPerGroup;
    team.Run(panels * w.dy.n, [&](int64_t task, int) {
      const int64_t panel = task / w.dy.n;
      PackImage(w, panel, task % w.dy.n, In(inputs, 1), packed + panel * w.panelFloats());
    });
    const int64_t tile = w.table->tilePixels;
    const int64_t along = w.alongColumns() ? w.kw : w.perGroup, across = w.alongColumns() ? w.perGroup * w.kh : w.kh * w.kw;
    const int64_t pieces = (along + tile - 1) / tile;
    team.Run(panels * across * pieces, [&](int64_t task, int) {
      const int64_t piece = task % pieces, other = task / pieces % across, panel = task / pieces / across;
      const int64_t begin = along * piece / pieces, count = along * (piece + 1) / pieces - begin;
      const float* weights = packed + panel * w.panelFloats();
      if (w.alongColumns()) RunTile(w, panel, other / w.kh, other % w.kh, begin, count, weights, x, Out(outputs));
      else RunTile(w, panel, begin, other / w.kw, other % w.kw, count, weights, x, Out(outputs));
    });
  }, static_cast<size_t>((padded + 15) / 16 * 16 + w.groups * w.panelsPerGroup * w.panelFloats()) * sizeof(float));
}

}  // namespace xcorr
