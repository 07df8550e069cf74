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
      : ConvStep(conv, false, Copy::kNone, plainOutput), rowStep_(StepOf(conv, 0)), columnStep_(StepOf(conv, 1)),
        rows_(PhasesOf(out_.h, conv_.kh, rowStep_, conv_.dilation[0], conv_.padding.top)),
        columns_(PhasesOf(out_.w, conv_.kw, columnStep_, conv_.dilation[1], conv_.padding.left)) {
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
    RunPadded(team, packed, in + around_.top * line() + around_.left * kBlock, residual, out);
  }

  // `in` is the place of pixel (0, 0).
  virtual void RunPadded(Team& team, const float* packed, const float* in, const float* residual, float* out) const = 0;

  int64_t line() const { return (in_.w + around_.left + around_.right) * kBlock; }
  int64_t plane() const { return (in_.h + around_.top + around_.bottom) * line(); }

  // Calls run(row, column) for all phases, in the order in which their weights are packed.
  template <typename F>
  void ForPhases(const F& run) const {
    for (const AxisPhase& row : rows_) {
      for (const AxisPhase& column : columns_) run(row, column);
    }
  }

  // Of so many blocks of the input.
  std::vector<ptrdiff_t> TapsOf(const AxisPhase& row, const AxisPhase& column, int64_t blocks) const {
    std::vector<ptrdiff_t> taps;
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t i : row.offsets) {
        for (int64_t j : column.offsets) taps.push_back(b * plane() + i * line() + j * kBlock);
      }
    }
    return taps;
  }

  // Of input channel `from` to output o of its group.
  float TransposedWeight(const float* weight, int64_t from, int64_t o, int64_t i, int64_t j) const {
    return weight[((from * conv_.outPerGroup + o) * conv_.kh + i) * conv_.kw + j];
  }

  int64_t rowStep_, columnStep_;  // between outputs of a phase
  std::vector<AxisPhase> rows_, columns_;

 private:
  // The stride; of a single input row or column one that is further than it reaches, so that no output takes a tap from the padding.
  static int64_t StepOf(const Conv& c, size_t axis) {
    if ((axis == 0 ? c.x.h : c.x.w) > 1) return c.stride[axis];
    return axis == 0 ? c.y.h + c.padding.top + c.kh * c.dilation[0] : c.y.w + c.padding.left + c.kw * c.dilation[1];
  }

  static void Widen(const AxisPhase& phase, int64_t size, int64_t* before, int64_t* after) {
    for (int64_t offset : phase.offsets) {
      *before = std::max(*before, -offset);
      *after = std::max(*after, phase.count - 1 + offset - (size - 1));
    }
  }

  Padding around_;
};

// Into blocks. A task is one phase of one panel in a run of its rows, so that its weights are read once.
class PhaseTiles : public Phases {
 public:
  explicit PhaseTiles(const Conv& conv) : Phases(conv, false) {
    const int64_t groupOut = Blocks(conv_.outPerGroup), groupIn = Blocks(conv_.inPerGroup);
    for (int64_t g = 0; g < conv_.groups; ++g) {
      for (int64_t b = 0; b < groupOut; b += panels_.back().blocks) {
        const int64_t blocks = PanelBlocks(conv_.table, groupOut - b);
        panels_.push_back({g, g * groupOut + b, blocks, blocks * kBlock, packedFloats_, {}});
        packedFloats_ += panels_.back().lanes;
        ForPhases([&](const AxisPhase& row, const AxisPhase& column) {
          panels_.back().weights.push_back(packedFloats_);
          packedFloats_ += groupIn * kBlock * static_cast<int64_t>(row.taps.size() * column.taps.size()) * panels_.back().lanes;
        });
      }
    }
    ForPhases([&](const AxisPhase& row, const AxisPhase& column) {
      phases_.push_back({row, column, TapsOf(row, column, groupIn), {}, {}});
      if (column.count >= kLongRow) return;
      for (int64_t y = 0; y < row.count; ++y) {
        for (int64_t x = 0; x < column.count; ++x) {
          phases_.back().inAt.push_back(y * line() + x * kBlock);
          phases_.back().outAt.push_back((y * rowStep_ * out_.w + x * columnStep_) * kBlock);
        }
      }
    });
    const int64_t tasks = static_cast<int64_t>(panels_.size() * phases_.size()), floats = groupIn * in_.plane() * kBlock;
    runs_ = std::clamp(std::max((floats + kRunFloats - 1) / kRunFloats, (conv_.wantedTasks + tasks - 1) / tasks), int64_t{1}, rows_.front().count);
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    const int64_t channels = Blocks(conv_.inPerGroup) * kBlock;
    for (const Panel& panel : panels_) {
      float* w = to + panel.bias;
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

  void RunPadded(Team& team, const float* packed, const float* in, const float*, float* out) const override {
    const int64_t phases = static_cast<int64_t>(phases_.size()), panels = static_cast<int64_t>(panels_.size());
    team.Run(runs_ * panels * phases, [&](int64_t task, int) {
      const Phase& phase = phases_[static_cast<size_t>(task % phases)];
      const int64_t panel = task / phases % panels;
      RunPhase(panel, task % phases, Share(phase.row.count, runs_, task / phases / panels), packed, in, out);
    });
  }

 private:
  struct Panel {
    int64_t group, firstBlock, blocks, lanes;
    int64_t bias;                  // in floats, in the packed data
    std::vector<int64_t> weights;  // likewise, by phase
  };
  struct Phase {
    AxisPhase row, column;
    std::vector<ptrdiff_t> taps;
    std::vector<ptrdiff_t> inAt, outAt;  // of all its pixels, where its rows are too short for tiles of their own
  };

  Ahead NextWeights(int64_t panel, int64_t phase, const float* packed, int64_t tiles) const {
    const Panel& own = panels_[static_cast<size_t>(panel)];
    const bool last = phase + 1 == static_cast<int64_t>(phases_.size());
    if (last && panel + 1 == static_cast<int64_t>(panels_.size())) return {nullptr, 0, 1};
    const int64_t next = last ? panels_[static_cast<size_t>(panel + 1)].weights.front() : own.weights[static_cast<size_t>(phase + 1)];
    return {packed + next, static_cast<int64_t>(phases_[static_cast<size_t>(last ? 0 : phase + 1)].taps.size()) * kBlock * own.lanes, tiles};
  }

  // `rows` of the phase.
  void RunPhase(int64_t p, int64_t f, Range rows, const float* packed, const float* in, float* out) const {
    const Panel& panel = panels_[static_cast<size_t>(p)];
    const Phase& phase = phases_[static_cast<size_t>(f)];
    const int64_t width = phase.column.count;
    if (rows.size() == 0 || width == 0) return;
    in += panel.group * Blocks(conv_.inPerGroup) * plane();
    out += (panel.firstBlock * out_.plane() + phase.row.first * out_.w + phase.column.first) * kBlock;
    ConvTileArgs args = {};
    args.inPixel = kBlock;
    SetTaps(&args, phase.taps.data(), static_cast<int64_t>(phase.taps.size()));
    args.unit = kBlock;
    args.weights = packed + panel.weights[static_cast<size_t>(f)];
    args.bias = packed + panel.bias;
    args.outPixel = columnStep_ * kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused;
    if (!phase.inAt.empty()) {
      const int64_t begin = rows.begin * width, pixels = rows.size() * width, tiles = TilesOf(conv_.table, panel.blocks, pixels);
      Ahead ahead = NextWeights(p, f, packed, tiles);
      args.in = in;
      args.out = out;
      ForTiles(pixels, tiles, [&](int64_t first, int64_t tilePixels, int64_t count) {
        args.pixels = static_cast<int>(tilePixels);
        for (int64_t t = 0; t < count; ++t) {
          args.inAt = phase.inAt.data() + begin + first + t * tilePixels;
          args.outAt = phase.outAt.data() + begin + first + t * tilePixels;
          if (args.tapCount > 0) ahead.Next(&args);
          conv_.table.ConvTile(args);
        }
      });
      return;
    }
    const int64_t tiles = TilesOf(conv_.table, panel.blocks, width);
    Ahead ahead = NextWeights(p, f, packed, tiles * rows.size());
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      ForTiles(width, tiles, [&](int64_t first, int64_t tilePixels, int64_t count) {
        args.pixels = static_cast<int>(tilePixels);
        args.in = in + y * line() + first * kBlock;
        args.out = out + (y * rowStep_ * out_.w + first * columnStep_) * kBlock;
        args.more = count - 1;
        if (args.tapCount > 0) ahead.Next(&args);
        conv_.table.ConvTile(args);
      });
    }
  }

  static constexpr int64_t kLongRow = 16;         // pixels
  static constexpr int64_t kRunFloats = 32 << 10;  // of the input of a run

  std::vector<Panel> panels_;
  std::vector<Phase> phases_;
  int64_t packedFloats_ = 0, runs_ = 1;
};

// Into a few planes.
class PhaseDots : public Phases {
 public:
  explicit PhaseDots(const Conv& conv) : Phases(conv, true) {
    ForPhases([&](const AxisPhase& row, const AxisPhase& column) {
      weights_.push_back(packedFloats_);
      taps_.push_back(TapsOf(row, column, in_.blocks));
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

  void RunPadded(Team& team, const float* packed, const float* in, const float* residual, float* out) const override {
    const int64_t tasks = std::min(out_.h, conv_.wantedTasks);
    team.Run(tasks, [&](int64_t task, int) {
      const Range rows = Share(out_.h, tasks, task);
      DotsArgs args = DotsArgsOf(conv_, packed);
      args.inPixel = kBlock;
      args.outPixel = columnStep_;
      // All phases of some pixels, since they read the same.
      for (int64_t x = 0; x < columns_.front().count; x += kDotPixels) {
        for (int64_t y = rows.begin; y < rows.end; ++y) {
          for (size_t c = 0; c < columns_.size(); ++c) {
            const size_t phase = static_cast<size_t>(y % rowStep_) * columns_.size() + c;
            const int64_t place = y * out_.w + columns_[c].first + x * args.outPixel;
            args.in = in + y / rowStep_ * line() + x * kBlock;
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
    });
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
