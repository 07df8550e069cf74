// convTranspose2d by phases: the output pixels whose coordinates leave the same remainder by the stride form a phase, and a phase is a convolution
// of the input with every stride-th tap of the kernel, by the tile kernel, or to few output channels by that of conv2d for those (convDots.cpp). So
// nothing is scattered, and each output is made by one thread.
#include <algorithm>

#include "dotWeights.h"

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

// What both ways share: the phases, the padded input, and one row of the output after another.
class Phases : public ConvStep {
 public:
  Phases(const Conv& conv, bool plainOutput)
      : ConvStep(conv, false, Copy::kNone, plainOutput), rows_(PhasesOf(out_.h, conv_.kh, conv_.stride[0], conv_.dilation[0], conv_.padding.top)),
        columns_(PhasesOf(out_.w, conv_.kw, conv_.stride[1], conv_.dilation[1], conv_.padding.left)) {
    around_ = {0, 0, 0, 0};
    for (const AxisPhase& p : rows_) Widen(p, in_.h, &around_.top, &around_.bottom);
    for (const AxisPhase& p : columns_) Widen(p, in_.w, &around_.left, &around_.right);
  }

 protected:
  int64_t workFloats() const override { return around_.any() ? PaddedFloats(in_, around_) : 0; }

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float* work) const override {
    if (around_.any()) {
      PadImage(team, in_, around_, in, work);
      in = work;
    }
    const int64_t tasks = std::min(out_.h, conv_.wantedTasks);
    team.Run(tasks, [&](int64_t task, int) { RunRows(Share(out_.h, tasks, task), packed, in, residual, out); });
  }

  virtual void RunRows(Range rows, const float* packed, const float* in, const float* residual, float* out) const = 0;

  size_t RowPhase(int64_t y) const { return static_cast<size_t>(y % conv_.stride[0]); }
  // Where the input of row y begins.
  const float* InputOf(int64_t y, const float* in) const { return in + (y / conv_.stride[0] + around_.top) * line() + around_.left * kBlock; }

  // Calls run(row, column) for all phases, in the order in which their weights are packed.
  template <typename F>
  void ForPhases(const F& run) const {
    for (const AxisPhase& row : rows_) {
      for (const AxisPhase& column : columns_) run(row, column);
    }
  }

  // Of blocks firstBlock .. firstBlock + blocks - 1 of the input.
  std::vector<ptrdiff_t> TapsOf(const AxisPhase& row, const AxisPhase& column, int64_t firstBlock, int64_t blocks) const {
    const int64_t plane = (in_.h + around_.top + around_.bottom) * line();
    std::vector<ptrdiff_t> taps;
    for (int64_t b = firstBlock; b < firstBlock + blocks; ++b) {
      for (int64_t i : row.offsets) {
        for (int64_t j : column.offsets) taps.push_back(b * plane + i * line() + j * kBlock);
      }
    }
    return taps;
  }

  // Of input channel `from` to output o of its group.
  float TransposedWeight(const float* weight, int64_t from, int64_t o, int64_t i, int64_t j) const {
    return weight[((from * conv_.outPerGroup + o) * conv_.kh + i) * conv_.kw + j];
  }

  std::vector<AxisPhase> rows_, columns_;

 private:
  static void Widen(const AxisPhase& phase, int64_t size, int64_t* before, int64_t* after) {
    for (int64_t offset : phase.offsets) {
      *before = std::max(*before, -offset);
      *after = std::max(*after, phase.count - 1 + offset - (size - 1));
    }
  }

  int64_t line() const { return (in_.w + around_.left + around_.right) * kBlock; }

  Padding around_;
};

// Into blocks.
class PhaseTiles : public Phases {
 public:
  explicit PhaseTiles(const Conv& conv) : Phases(conv, false) {
    const int64_t groupOut = Blocks(conv_.outPerGroup);
    for (int64_t g = 0; g < conv_.groups; ++g) {
      for (int64_t b = 0; b < groupOut; b += panels_.back().blocks) {
        const int64_t blocks = PanelBlocks(conv_.table, groupOut - b);
        panels_.push_back({g, g * groupOut + b, blocks, blocks * kBlock, packedFloats_});
        packedFloats_ += panels_.back().lanes;
        ForPhases([&](const AxisPhase& row, const AxisPhase& column) { packedFloats_ += WeightFloats(panels_.back(), row, column); });
      }
    }
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    const int64_t channels = Blocks(conv_.inPerGroup) * kBlock;
    for (const Panel& panel : panels_) {
      float* w = to + panel.data;
      auto outputOf = [&](int64_t lane) {  // -1: none
        const int64_t o = panel.firstBlock * kBlock + lane;
        return o < out_.c ? o : -1;
      };
      for (int64_t l = 0; l < panel.lanes; ++l) *w++ = bias && outputOf(l) >= 0 ? bias[outputOf(l)] : 0.0f;
      ForPhases([&](const AxisPhase& row, const AxisPhase& column) {
        for (int64_t c = 0; c < channels; c += kBlock) {
          for (int64_t i : row.taps) {
            for (int64_t j : column.taps) {
              for (int64_t u = c; u < c + kBlock; ++u) {
                for (int64_t l = 0; l < panel.lanes; ++l) {
                  const int64_t o = outputOf(l);
                  *w++ = o >= 0 && u < conv_.inPerGroup ? TransposedWeight(weight, panel.group * conv_.inPerGroup + u, o % conv_.outPerGroup, i, j) : 0.0f;
                }
              }
            }
          }
        }
      });
    }
  }

  void RunRows(Range rows, const float* packed, const float* in, const float*, float* out) const override {
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      for (const Panel& panel : panels_) {
        const float* weights = packed + panel.data + panel.lanes;
        ForPhases([&](const AxisPhase& row, const AxisPhase& column) {
          if (&row == &rows_[RowPhase(y)]) RunPhase(panel, row, column, y, packed + panel.data, weights, InputOf(y, in), out);
          weights += WeightFloats(panel, row, column);
        });
      }
    }
  }

 private:
  struct Panel {
    int64_t group, firstBlock, blocks, lanes;
    int64_t data;  // in floats, in the packed data: bias, then weights phase by phase
  };

  int64_t WeightFloats(const Panel& panel, const AxisPhase& row, const AxisPhase& column) const {
    return Blocks(conv_.inPerGroup) * kBlock * static_cast<int64_t>(row.taps.size() * column.taps.size()) * panel.lanes;
  }

  void RunPhase(const Panel& panel, const AxisPhase& row, const AxisPhase& column, int64_t y, const float* bias, const float* weights, const float* in, float* out) const {
    const int64_t blocks = Blocks(conv_.inPerGroup);
    const std::vector<ptrdiff_t> taps = TapsOf(row, column, panel.group * blocks, blocks);
    ConvTileArgs args = {};
    args.inPixel = kBlock;
    SetTaps(&args, taps.data(), static_cast<int64_t>(taps.size()));
    args.unit = kBlock;
    args.weights = weights;
    args.bias = bias;
    args.outPixel = conv_.stride[1] * kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused;
    float* to = out + panel.firstBlock * args.outBlock + (y * out_.w + column.first) * kBlock;
    const int64_t tiles = TilesOf(conv_.table, panel.blocks, column.count);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t x = column.count * t / tiles;
      args.pixels = static_cast<int>(column.count * (t + 1) / tiles - x);
      args.in = in + x * kBlock;
      args.out = to + x * args.outPixel;
      conv_.table.ConvTile(args);
    }
  }

  std::vector<Panel> panels_;
  int64_t packedFloats_ = 0;
};

// Into a few planes.
class PhaseDots : public Phases {
 public:
  explicit PhaseDots(const Conv& conv) : Phases(conv, true) {
    ForPhases([&](const AxisPhase& row, const AxisPhase& column) {
      weights_.push_back(packedFloats_);
      taps_.push_back(TapsOf(row, column, 0, in_.blocks));
      packedFloats_ += static_cast<int64_t>(taps_.back().size()) * kBlock * out_.c;
    });
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    to = PackDotBias(conv_, bias, to);
    ForPhases([&](const AxisPhase& row, const AxisPhase& column) {
      const auto columns = static_cast<int64_t>(column.taps.size());
      const auto of = [&](int64_t o, int64_t c, int64_t t) {
        return TransposedWeight(weight, c, o, row.taps[static_cast<size_t>(t / columns)], column.taps[static_cast<size_t>(t % columns)]);
      };
      to = PackDots(conv_, static_cast<int64_t>(row.taps.size()) * columns, of, to);
    });
  }

  void RunRows(Range rows, const float* packed, const float* in, const float* residual, float* out) const override {
    DotsArgs args = DotsArgsOf(conv_, packed);
    args.inPixel = kBlock;
    args.outPixel = conv_.stride[1];
    // All phases of some pixels, since they read the same.
    for (int64_t x = 0; x < columns_.front().count; x += kDotPixels) {
      for (int64_t y = rows.begin; y < rows.end; ++y) {
        for (size_t c = 0; c < columns_.size(); ++c) {
          const size_t phase = RowPhase(y) * columns_.size() + c;
          const int64_t place = y * out_.w + columns_[c].first + x * args.outPixel;
          args.in = InputOf(y, in) + x * kBlock;
          args.taps = taps_[phase].data();
          args.tapCount = static_cast<int64_t>(taps_[phase].size());
          args.weights = packed + weights_[phase];
          args.residual = residual ? residual + place : nullptr;
          args.out = out + place;
          args.pixels = std::min(kDotPixels, columns_[c].count - x);
          conv_.table.Dots(args);
        }
      }
    }
  }

 private:
  // Phase by phase: where in the packed data its weights are, and its taps.
  std::vector<int64_t> weights_;
  std::vector<std::vector<ptrdiff_t>> taps_;
  int64_t packedFloats_ = kDotBias;
};

}  // namespace

Reason AcceptsPhases(const Conv& c) {
  if (c.groups == 1) return "";
  return c.inPerGroup % kBlock == 0 && c.outPerGroup % kBlock == 0 ? "" : "groups that do not fill blocks of 8 channels";
}

std::unique_ptr<ConvStep> MakePhases(const Conv& conv) {
  if (AcceptsFewOutputs(conv).empty()) return std::make_unique<PhaseDots>(conv);
  return std::make_unique<PhaseTiles>(conv);
}

}  // namespace xcorr
