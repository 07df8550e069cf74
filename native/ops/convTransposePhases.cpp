// convTranspose2d by phases: the output pixels whose coordinates leave the same remainder by the stride form a phase, and a phase is a convolution
// of the input with every stride-th tap of the kernel, by the tile kernel. So nothing is scattered, and each output is made by one thread.
#include <algorithm>

#include "conv2d.h"

namespace xcorr {
namespace {

// Output q * stride + first of one axis takes input q + offsets[i] with kernel tap taps[i].
struct AxisPhase {
  int64_t first, count;
  std::vector<int64_t> taps, offsets;
};

std::vector<AxisPhase> PhasesOf(int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t begin) {
  std::vector<AxisPhase> phases;
  for (int64_t first = 0; first < std::min(stride, out); ++first) {
    AxisPhase phase = {first, (out - first + stride - 1) / stride, {}, {}};
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t at = first + begin - k * dilation;
      if (at % stride != 0) continue;
      phase.taps.push_back(k);
      phase.offsets.push_back(at / stride);
    }
    phases.push_back(phase);
  }
  return phases;
}

class Phases : public ConvStep {
 public:
  explicit Phases(const Conv& conv)
      : ConvStep(conv, false, Copy::kNone), rows_(PhasesOf(out_.h, conv_.kh, conv_.stride[0], conv_.dilation[0], conv_.padding.top)),
        columns_(PhasesOf(out_.w, conv_.kw, conv_.stride[1], conv_.dilation[1], conv_.padding.left)) {
    around_ = {0, 0, 0, 0};
    for (const AxisPhase& p : rows_) Widen(p, in_.h, &around_.top, &around_.bottom);
    for (const AxisPhase& p : columns_) Widen(p, in_.w, &around_.left, &around_.right);
    const int64_t groupOut = Blocks(conv_.outPerGroup);
    for (int64_t g = 0; g < conv_.groups; ++g) {
      for (int64_t b = 0; b < groupOut; b += panels_.back().blocks) {
        const int64_t blocks = PanelBlocks(conv_.table, groupOut - b);
        panels_.push_back({g, g * groupOut + b, blocks, blocks * kBlock, packedFloats_});
        packedFloats_ += panels_.back().lanes;
        for (const AxisPhase& row : rows_) {
          for (const AxisPhase& column : columns_) packedFloats_ += WeightFloats(panels_.back(), row, column);
        }
      }
    }
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }
  int64_t workFloats() const override { return around_.any() ? PaddedFloats(in_, around_) : 0; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    const int64_t channels = Blocks(conv_.inPerGroup) * kBlock;
    for (const Panel& panel : panels_) {
      float* w = to + panel.data;
      auto outputOf = [&](int64_t lane) {  // -1: none
        const int64_t o = panel.firstBlock * kBlock + lane;
        return o < out_.c ? o : -1;
      };
      for (int64_t l = 0; l < panel.lanes; ++l) *w++ = bias && outputOf(l) >= 0 ? bias[outputOf(l)] : 0.0f;
      for (const AxisPhase& row : rows_) {
        for (const AxisPhase& column : columns_) {
          for (int64_t c = 0; c < channels; c += kBlock) {
            for (int64_t i : row.taps) {
              for (int64_t j : column.taps) {
                for (int64_t u = c; u < c + kBlock; ++u) {
                  for (int64_t l = 0; l < panel.lanes; ++l) {
                    const int64_t o = outputOf(l);
                    const int64_t from = panel.group * conv_.inPerGroup + u;
                    const bool real = o >= 0 && u < conv_.inPerGroup;
                    *w++ = real ? weight[((from * conv_.outPerGroup + o % conv_.outPerGroup) * conv_.kh + i) * conv_.kw + j] : 0.0f;
                  }
                }
              }
            }
          }
        }
      }
    }
  }

  void RunImage(Team& team, const float* packed, const float* in, const float*, float* out, float* work) const override {
    if (around_.any()) {
      PadImage(team, in_, around_, in, work);
      in = work;
    }
    team.Run(out_.h, [&](int64_t y, int) {
      const AxisPhase& row = rows_[static_cast<size_t>(y % conv_.stride[0])];
      for (const Panel& panel : panels_) RunRow(panel, row, y, packed, in, out);
    });
  }

 private:
  struct Panel {
    int64_t group, firstBlock, blocks, lanes;
    int64_t data;  // in floats, in the packed data: bias, then weights phase by phase
  };

  static void Widen(const AxisPhase& phase, int64_t size, int64_t* before, int64_t* after) {
    for (int64_t offset : phase.offsets) {
      *before = std::max(*before, -offset);
      *after = std::max(*after, phase.count - 1 + offset - (size - 1));
    }
  }

  int64_t WeightFloats(const Panel& panel, const AxisPhase& row, const AxisPhase& column) const {
    return Blocks(conv_.inPerGroup) * kBlock * static_cast<int64_t>(row.taps.size() * column.taps.size()) * panel.lanes;
  }

  void RunRow(const Panel& panel, const AxisPhase& row, int64_t y, const float* packed, const float* in, float* out) const {
    const int64_t line = (in_.w + around_.left + around_.right) * kBlock, plane = (in_.h + around_.top + around_.bottom) * line;
    const float* weights = packed + panel.data + panel.lanes;
    std::vector<ptrdiff_t> taps;
    for (const AxisPhase& r : rows_) {
      for (const AxisPhase& column : columns_) {
        if (&r == &row) {
          taps.clear();
          for (int64_t c = 0; c < Blocks(conv_.inPerGroup); ++c) {
            for (int64_t i : row.offsets) {
              for (int64_t j : column.offsets) taps.push_back((c + panel.group * Blocks(conv_.inPerGroup)) * plane + i * line + j * kBlock);
            }
          }
          ConvTileArgs args = {};
          args.inPixel = kBlock;
          SetTaps(&args, taps.data(), static_cast<int64_t>(taps.size()));
          args.unit = kBlock;
          args.weights = weights;
          args.bias = packed + panel.data;
          args.outPixel = conv_.stride[1] * kBlock;
          args.outBlock = out_.plane() * kBlock;
          args.blocks = static_cast<int>(panel.blocks);
          args.activation = conv_.epilogue.fused;
          const float* from = in + (y / conv_.stride[0] + around_.top) * line + around_.left * kBlock;
          float* to = out + panel.firstBlock * args.outBlock + (y * out_.w + column.first) * kBlock;
          const int64_t tiles = TilesOf(conv_.table, panel.blocks, column.count);
          for (int64_t t = 0; t < tiles; ++t) {
            const int64_t x = column.count * t / tiles;
            args.pixels = static_cast<int>(column.count * (t + 1) / tiles - x);
            args.in = from + x * kBlock;
            args.out = to + x * args.outPixel;
            conv_.table.ConvTile(args);
          }
        }
        weights += WeightFloats(panel, r, column);
      }
    }
  }

  std::vector<AxisPhase> rows_, columns_;
  Padding around_;
  std::vector<Panel> panels_;
  int64_t packedFloats_ = 0;
};

}  // namespace

Reason AcceptsPhases(const Conv& c) {
  if (c.groups == 1) return "";
  return c.inPerGroup % kBlock == 0 && c.outPerGroup % kBlock == 0 ? "" : "groups that do not fill blocks of 8 channels";
}

std::unique_ptr<ConvStep> MakePhases(const Conv& conv) { return std::make_unique<Phases>(conv); }

}  // namespace xcorr
