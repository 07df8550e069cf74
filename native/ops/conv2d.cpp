// conv2d: chooses an algorithm, packs the weights, splits the output into tasks.
//
//   depthwise   one input channel per output channel: windows slide over blocks of 8 channels
//   stem        few input channels in a plain image: read as they are, no reorder
//   pointwise   1x1, stride 1: all pixels of the image are one long row
//   grouped     groups that do not fill blocks of 8: a panel of output channels takes all input channels of its groups
//   direct      everything else
//
// All but depthwise are one tile kernel (kernels/convTile.h) with other tables of taps: where, relative to an output pixel's input,
// the numbers lie that the weights multiply.
#include <algorithm>
#include <cstring>

#include "../runtime/arena.h"
#include "epilogue.h"
#include "layout.h"
#include "op.h"

namespace xcorr {
namespace {

struct Conv {
  explicit Conv(const Problem& p)
      : x(p.inputs[0]), y(p.outputs[0]), weight(p.inputs[1]), stride(p.attributes.Ints("stride")), dilation(p.attributes.Ints("dilation")),
        groups(p.attributes.Int("groups", 1)), epilogue(p.attributes), table(*p.kernels) {
    const std::vector<int64_t> pads = p.attributes.Ints("padding");
    padding = {pads[0], pads[1], pads[2], pads[3]};
    kh = weight.shape[2];
    kw = weight.shape[3];
    inPerGroup = weight.shape[1];
    outPerGroup = weight.shape[0] / groups;
    hasResidual = p.attributes.Flag("residual");
    const size_t end = p.inputs.size() - (hasResidual ? 1 : 0);
    hasBias = end > 2;
    residualInput = p.inputs.size() - 1;
    if (hasResidual) residualBlocked = p.inputs[residualInput].layout == Layout::kBlocked;
  }
  Image x, y;
  TensorDesc weight;
  std::vector<int64_t> stride, dilation;
  Padding padding;
  int64_t groups, kh, kw, inPerGroup, outPerGroup;
  bool hasBias, hasResidual, residualBlocked = true;
  size_t residualInput;
  Epilogue epilogue;
  const KernelTable& table;

  float Weight(const float* w, int64_t o, int64_t c, int64_t i, int64_t j) const {
    return w[((o * inPerGroup + c) * kh + i) * kw + j];
  }
};

using Reason = std::string;  // why an algorithm does not take a problem; empty: it does

Reason AcceptsDepthwise(const Conv& c) {
  if (c.groups == 1 || c.inPerGroup != 1 || c.outPerGroup != 1) return "more than one channel per group";
  return "";
}

Reason AcceptsStem(const Conv& c) {
  if (c.x.blocked) return "input in blocks";
  if (c.groups != 1) return "groups";
  return c.x.c <= 4 ? "" : "more than 4 input channels";
}

Reason AcceptsGrouped(const Conv& c) {
  if (c.groups == 1) return "one group";
  return c.inPerGroup % kBlock == 0 && c.outPerGroup % kBlock == 0 ? "groups fill blocks of 8 channels" : "";
}

Reason AcceptsPointwise(const Conv& c) {
  if (c.kh != 1 || c.kw != 1) return "kernel larger than 1x1";
  if (c.stride[0] != 1 || c.stride[1] != 1) return "stride";
  return c.padding.any() ? "padding" : "";
}

Reason AcceptsAny(const Conv&) { return ""; }

enum class Kind { kDepthwise, kStem, kGrouped, kPointwise, kDirect };
struct Algorithm {
  const char* name;
  Kind kind;
  Reason (*accepts)(const Conv&);
};
// In order: the first that accepts the problem runs, the last accepts all.
constexpr Algorithm kAlgorithms[] = {
    {"depthwise", Kind::kDepthwise, AcceptsDepthwise}, {"stem", Kind::kStem, AcceptsStem},
    {"grouped", Kind::kGrouped, AcceptsGrouped},       {"pointwise", Kind::kPointwise, AcceptsPointwise},
    {"direct", Kind::kDirect, AcceptsAny},
};

// Blocks of 8 output channels that one tile of the kernel makes, with their packed weights and the input numbers that they take.
struct Panel {
  int64_t firstBlock, blocks;
  int64_t taps, tapCount;      // in Packed::taps
  int64_t weights, bias;       // in floats, in Packed::data
};

struct Packed {
  int unit = 8;
  std::vector<ptrdiff_t> taps;
  std::vector<Panel> panels;
  AlignedBuffer data;
};

// Lanes that the kernel computes for a panel: whole vectors.
int64_t PanelLanes(const KernelTable& t, int64_t blocks) {
  const int64_t narrow = t.lanes >= 8 ? t.lanes : t.tileBlocks * kBlock;
  return blocks * kBlock <= narrow ? narrow : t.tileBlocks * kBlock;
}

// Offsets of taps (i, j) of channel `unit` numbers apart, for an input with these strides.
struct InputShape {
  int64_t row, plane, pixel;  // plane: from one block (or channel, if plain) to the next
};

class ConvStep : public Step {
 public:
  ConvStep(const Problem& p, const Conv& conv, Kind kind) : conv_(conv), kind_(kind) {
    const bool reordersIn = !conv_.x.blocked && kind_ != Kind::kStem;
    in_ = conv_.x;
    in_.blocked = kind_ != Kind::kStem;
    out_ = conv_.y;
    out_.blocked = true;
    padsIn_ = kind_ != Kind::kDepthwise && conv_.padding.any();
    // Scratch: [blocked input] [padded image] [blocked residual] [blocked output] [packed weights]
    Reserve(reordersIn, in_.blockedFloats(), &blockedIn_);
    Reserve(padsIn_, PaddedFloats(in_, conv_.padding), &padded_);
    Reserve(conv_.hasResidual && !conv_.residualBlocked, out_.blockedFloats(), &blockedResidual_);
    Reserve(!conv_.y.blocked, out_.blockedFloats(), &blockedOut_);
    Describe();
    constant_ = p.constants[1] != nullptr && (!conv_.hasBias || p.constants[2] != nullptr);
    Reserve(!constant_, packedFloats_, &packedAt_);
    if (constant_) {
      packed_.data = AlignedBuffer(static_cast<size_t>(packedFloats_) * sizeof(float));
      Pack(static_cast<const float*>(p.constants[1]), conv_.hasBias ? static_cast<const float*>(p.constants[2]) : nullptr, packed_.data.floats());
      info.packedBytes = packed_.data.bytes();
    }
  }

  size_t scratchBytes() const override { return static_cast<size_t>(scratchFloats_) * sizeof(float); }
  bool ownsConstant(size_t input) const override { return constant_ && (input == 1 || (input == 2 && conv_.hasBias)); }

  void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const override {
    float* work = static_cast<float*>(scratch);
    const float* data = packed_.data.floats();
    if (!constant_) {
      Pack(static_cast<const float*>(inputs[1]), conv_.hasBias ? static_cast<const float*>(inputs[2]) : nullptr, work + packedAt_);
      data = work + packedAt_;
    }
    const float* in = static_cast<const float*>(inputs[0]);
    if (blockedIn_ >= 0) {
      PlainToBlocked(team, in_, in, work + blockedIn_);
      in = work + blockedIn_;
    }
    const float* residual = conv_.hasResidual ? static_cast<const float*>(inputs[conv_.residualInput]) : nullptr;
    if (blockedResidual_ >= 0) {
      PlainToBlocked(team, out_, residual, work + blockedResidual_);
      residual = work + blockedResidual_;
    }
    float* out = blockedOut_ >= 0 ? work + blockedOut_ : static_cast<float*>(outputs[0]);
    const int64_t inImage = (in_.blocked ? in_.blocks * kBlock : in_.c) * in_.plane();
    const int64_t outImage = out_.blocks * kBlock * out_.plane();
    for (int64_t n = 0; n < in_.n; ++n) {
      const float* image = in + n * inImage;
      if (padsIn_) {
        PadImage(team, in_, conv_.padding, image, work + padded_);
        image = work + padded_;
      }
      const float* add = residual ? residual + n * outImage : nullptr;
      if (kind_ == Kind::kDepthwise) RunDepthwise(team, data, image, add, out + n * outImage);
      else RunTiles(team, data, image, add, out + n * outImage);
    }
    if (!conv_.epilogue.rest.empty()) {
      const int64_t planes = out_.n * out_.blocks, size = out_.plane() * kBlock;
      team.Run(planes, [&](int64_t plane, int) { conv_.epilogue.ApplyRest(out + plane * size, size); });
    }
    if (!conv_.epilogue.zeroStaysZero) ClearPaddingLanes(out_, out);
    if (blockedOut_ >= 0) BlockedToPlain(team, out_, out, static_cast<float*>(outputs[0]));
  }

 private:
  void Reserve(bool needed, int64_t floats, int64_t* at) {
    *at = needed ? scratchFloats_ : -1;
    if (needed) scratchFloats_ += (floats + 15) / 16 * 16;
  }

  // Lays out taps and panels; the weights themselves come in Pack.
  void Describe() {
    packed_.unit = kind_ == Kind::kStem || kind_ == Kind::kGrouped ? 1 : 8;
    if (kind_ == Kind::kDepthwise) {
      packedFloats_ = out_.blocks * kBlock * (conv_.kh * conv_.kw + 1);
      return;
    }
    const int64_t unit = in_.blocked ? kBlock : 1;
    const Padding none = {0, 0, 0, 0};
    const Padding& pad = padsIn_ ? conv_.padding : none;
    const int64_t row = (in_.w + pad.left + pad.right) * unit;
    shape_ = {row, (in_.h + pad.top + pad.bottom) * row, unit};
    const int64_t perPanel = conv_.table.tileBlocks;
    int64_t at = 0;
    for (int64_t g = 0; g < (kind_ == Kind::kGrouped ? 1 : conv_.groups); ++g) {
      const int64_t groupBlocks = kind_ == Kind::kGrouped ? out_.blocks : Blocks(conv_.outPerGroup);
      // A panel over several small groups multiplies with zeros for the others, so it is kept narrow.
      const int64_t most = kind_ == Kind::kGrouped ? std::max<int64_t>(1, conv_.table.lanes / kBlock) : perPanel;
      for (int64_t b = 0; b < groupBlocks; b += most) {
        Panel panel;
        panel.firstBlock = g * groupBlocks + b;
        panel.blocks = std::min(most, groupBlocks - b);
        panel.taps = static_cast<int64_t>(packed_.taps.size());
        AddTaps(panel, g);
        panel.tapCount = static_cast<int64_t>(packed_.taps.size()) - panel.taps;
        const int64_t lanes = PanelLanes(conv_.table, panel.blocks);
        panel.bias = at;
        panel.weights = at + lanes;
        at += lanes * (1 + panel.tapCount * packed_.unit);
        packed_.panels.push_back(panel);
      }
    }
    packedFloats_ = at;
  }

  // Input channels that a panel reads: all of its group, or of all the groups that it covers.
  void InputChannels(const Panel& panel, int64_t group, int64_t* first, int64_t* count) const {
    if (kind_ != Kind::kGrouped) {
      *first = group * conv_.inPerGroup;
      *count = conv_.inPerGroup;
      return;
    }
    const int64_t firstOut = panel.firstBlock * kBlock;
    const int64_t lastOut = std::min(out_.c, firstOut + panel.blocks * kBlock) - 1;
    *first = firstOut / conv_.outPerGroup * conv_.inPerGroup;
    *count = (lastOut / conv_.outPerGroup + 1) * conv_.inPerGroup - *first;
  }

  void AddTaps(const Panel& panel, int64_t group) {
    int64_t first, count;
    InputChannels(panel, group, &first, &count);
    // Channel (or block of 8 of them) outermost, then rows, then columns.
    const int64_t step = packed_.unit;
    for (int64_t c = first; c < first + count; c += step) {
      const int64_t base = in_.blocked ? c / kBlock * shape_.plane + c % kBlock : c * shape_.plane;
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; ++j) {
          packed_.taps.push_back(base + i * conv_.dilation[0] * shape_.row + j * conv_.dilation[1] * shape_.pixel);
        }
      }
    }
  }

  void Pack(const float* weight, const float* bias, float* to) const {
    if (kind_ == Kind::kDepthwise) {
      PackDepthwise(weight, bias, to);
      return;
    }
    for (const Panel& panel : packed_.panels) {
      const int64_t group = kind_ == Kind::kGrouped ? 0 : panel.firstBlock * kBlock / conv_.outPerGroup;
      PackPanel(panel, group, weight, bias, to);
    }
  }

  // Weights of a panel, [channel][row][column][unit][lane], zero where a lane has no channel or a channel is not of the lane's group.
  void PackPanel(const Panel& panel, int64_t group, const float* weight, const float* bias, float* to) const {
    const int64_t lanes = PanelLanes(conv_.table, panel.blocks);
    const int64_t firstOut = panel.firstBlock * kBlock;
    int64_t first, count;
    InputChannels(panel, group, &first, &count);
    for (int64_t l = 0; l < lanes; ++l) {
      const bool real = firstOut + l < out_.c && l < panel.blocks * kBlock;
      to[panel.bias + l] = real && bias ? bias[firstOut + l] : 0.0f;
    }
    float* w = to + panel.weights;
    for (int64_t c = first; c < first + count; c += packed_.unit) {
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; ++j) {
          for (int64_t u = 0; u < packed_.unit; ++u) {
            for (int64_t l = 0; l < lanes; ++l) *w++ = WeightOf(panel, firstOut + l, l, c + u, weight, i, j);
          }
        }
      }
    }
  }

  float WeightOf(const Panel& panel, int64_t o, int64_t lane, int64_t channel, const float* weight, int64_t i, int64_t j) const {
    if (o >= out_.c || lane >= panel.blocks * kBlock) return 0.0f;
    const int64_t inGroup = channel - o / conv_.outPerGroup * conv_.inPerGroup;
    if (inGroup < 0 || inGroup >= conv_.inPerGroup) return 0.0f;
    return conv_.Weight(weight, o, inGroup, i, j);
  }

  void PackDepthwise(const float* weight, const float* bias, float* to) const {
    const int64_t taps = conv_.kh * conv_.kw;
    for (int64_t b = 0; b < out_.blocks; ++b) {
      float* w = to + b * kBlock * (taps + 1);
      for (int64_t l = 0; l < kBlock; ++l) {
        const int64_t o = b * kBlock + l;
        w[l] = o < out_.c && bias ? bias[o] : 0.0f;
        for (int64_t t = 0; t < taps; ++t) w[(t + 1) * kBlock + l] = o < out_.c ? weight[o * taps + t] : 0.0f;
      }
    }
  }

  // Tasks are runs of rows (all panels on each, so that the rows stay in cache) times groups of panels where rows are few.
  void RunTiles(Team& team, const float* data, const float* in, const float* residual, float* out) const {
    const bool flat = kind_ == Kind::kPointwise;
    const int64_t rows = flat ? 1 : out_.h;
    const int64_t width = flat ? out_.plane() : out_.w;
    // A task's share of the input should stay in the nearer caches: about 128 KB.
    const int64_t inputPerPixel = in_.blocked ? in_.blocks * kBlock * 4 : in_.c * 4;
    int64_t pixelsPerTask = std::max<int64_t>(2 * conv_.table.tilePixels, (128 << 10) / std::max<int64_t>(1, inputPerPixel));
    int64_t rowTasks, rowsPerTask = 1, columnsPerTask = width;
    if (flat) {
      columnsPerTask = std::min(width, RoundToTiles(std::min(pixelsPerTask, (width + 3) / 4)));
      rowTasks = (width + columnsPerTask - 1) / columnsPerTask;
    } else {
      rowsPerTask = std::max<int64_t>(1, std::min(pixelsPerTask / width, rows / 8));
      rowTasks = (rows + rowsPerTask - 1) / rowsPerTask;
    }
    const int64_t panels = static_cast<int64_t>(packed_.panels.size());
    // At least 8 tasks, if there are panels enough: more threads than rows must find work too.
    const int64_t panelTasks = std::min(panels, rowTasks >= 8 ? 1 : (8 + rowTasks - 1) / rowTasks);
    team.Run(rowTasks * panelTasks, [&](int64_t task, int) {
      const int64_t part = task % panelTasks, run = task / panelTasks;
      const int64_t firstPanel = panels * part / panelTasks, lastPanel = panels * (part + 1) / panelTasks;
      for (int64_t p = firstPanel; p < lastPanel; ++p) {
        const Panel& panel = packed_.panels[static_cast<size_t>(p)];
        if (flat) {
          const int64_t begin = run * columnsPerTask;
          RunRow(panel, data, in, residual, out, 0, begin, std::min(width, begin + columnsPerTask));
        } else {
          for (int64_t y = run * rowsPerTask; y < std::min(rows, (run + 1) * rowsPerTask); ++y) {
            RunRow(panel, data, in, residual, out, y, 0, width);
          }
        }
      }
    });
  }

  int64_t RoundToTiles(int64_t pixels) const {
    const int64_t tile = conv_.table.tilePixels;
    return std::max(tile, (pixels + tile - 1) / tile * tile);
  }

  // Pixels begin .. end - 1 of a row, in tiles of nearly equal size: a last tile of one or two pixels would run at a fraction of the speed.
  void RunRow(const Panel& panel, const float* data, const float* in, const float* residual, float* out, int64_t y, int64_t begin, int64_t end) const {
    ConvTileArgs args;
    args.inPixel = conv_.stride[1] * shape_.pixel;
    args.taps = packed_.taps.data() + panel.taps;
    args.tapCount = panel.tapCount;
    args.unit = packed_.unit;
    args.weights = data + panel.weights;
    args.bias = data + panel.bias;
    args.outPixel = kBlock;
    args.outBlock = out_.plane() * kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused;
    const int64_t line = panel.firstBlock * args.outBlock + y * out_.w * kBlock;
    const float* row = in + y * conv_.stride[0] * shape_.row;
    const int64_t tiles = (end - begin + conv_.table.tilePixels - 1) / conv_.table.tilePixels;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t x = begin + (end - begin) * t / tiles, next = begin + (end - begin) * (t + 1) / tiles;
      args.in = row + x * args.inPixel;
      args.out = out + line + x * kBlock;
      args.residual = residual ? residual + line + x * kBlock : nullptr;
      args.pixels = static_cast<int>(next - x);
      conv_.table.ConvTile(args);
    }
  }

  void RunDepthwise(Team& team, const float* data, const float* in, const float* residual, float* out) const {
    const int64_t perBlock = kBlock * (conv_.kh * conv_.kw + 1);
    team.Run(out_.blocks, [&](int64_t block, int) {
      const float* plane = in + block * in_.plane() * kBlock;
      WindowRowArgs args;
      args.inRow = conv_.dilation[0] * in_.w * kBlock;
      args.stride = conv_.stride[1];
      args.dilation = conv_.dilation[1];
      args.columns = static_cast<int>(conv_.kw);
      args.columnBegin = conv_.padding.left;
      args.columnEnd = conv_.padding.left + in_.w;
      args.bias = data + block * perBlock;
      args.weights = args.bias + kBlock;
      args.pixels = out_.w;
      args.activation = conv_.epilogue.fused;
      for (int64_t y = 0; y < out_.h; ++y) {
        const int64_t top = y * conv_.stride[0] - conv_.padding.top;
        int64_t first = 0, last = conv_.kh;
        while (first < last && top + first * conv_.dilation[0] < 0) ++first;
        while (last > first && top + (last - 1) * conv_.dilation[0] >= in_.h) --last;
        args.firstRow = static_cast<int>(first);
        args.rows = static_cast<int>(last - first);
        args.in = plane + ((top + first * conv_.dilation[0]) * in_.w - conv_.padding.left) * kBlock;
        const int64_t line = (block * out_.h + y) * out_.w * kBlock;
        args.out = out + line;
        args.residual = residual ? residual + line : nullptr;
        conv_.table.DepthwiseRow(args);
      }
    });
  }

  Conv conv_;
  Kind kind_;
  Image in_ = conv_.x, out_ = conv_.y;
  InputShape shape_ = {0, 0, 0};
  Packed packed_;
  bool constant_ = false, padsIn_ = false;
  int64_t packedFloats_ = 0, scratchFloats_ = 0;
  int64_t blockedIn_ = -1, padded_ = -1, blockedResidual_ = -1, blockedOut_ = -1, packedAt_ = -1;
};

}  // namespace

std::unique_ptr<Step> Make_conv2d(const Problem& problem) {
  for (const TensorDesc& input : problem.inputs) {
    if (input.dtype != DType::kFloat32) throw Declined("kernels are float32");
  }
  const Conv conv(problem);
  std::string declined;
  for (const Algorithm& algorithm : kAlgorithms) {
    const Reason reason = algorithm.accepts(conv);
    if (reason.empty()) {
      auto step = std::make_unique<ConvStep>(problem, conv, algorithm.kind);
      step->info.algorithm = algorithm.name;
      step->info.declined = declined;
      return step;
    }
    declined += (declined.empty() ? "" : "; ") + std::string(algorithm.name) + ": " + reason;
  }
  throw Declined("no algorithm");
}

}  // namespace xcorr
