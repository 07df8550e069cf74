// conv2d by the tile kernel (kernels/convTile.h), which all of these are, with other tables of taps: where, relative to an output pixel's
// input, the numbers lie that the weights multiply.
//
//   stem, grouped, pointwise, direct    (what each takes: conv2d.cpp)
#include <algorithm>
#include <cmath>

#include "../runtime/cpu.h"
#include "convCost.h"
#include "groupedPanels.h"

namespace xcorr {
namespace {

enum class Kind { kStem, kGrouped, kPointwise, kDirect };

// Blocks of 8 output channels that one tile of the kernel makes, with their packed weights and the input numbers that they take.
struct Panel {
  int64_t firstBlock, blocks;
  int64_t lanes() const { return blocks * kBlock; }
  int64_t taps, tapCount;      // in taps_
  int64_t weights, bias;       // in floats, in the packed data
};

// A row fills three quarters of its tiles.
bool FillsTiles(const KernelTable& t, int64_t width) { return 4 * width >= 3 * t.tilePixels * TilesOf(t, t.tileBlocks, width); }

// Of whole blocks.
bool AllFinite(const float* p, int64_t count) {
  float zeros[kBlock] = {};
  for (int64_t i = 0; i < count; i += kBlock) {
    for (int64_t l = 0; l < kBlock; ++l) zeros[l] += p[i + l] * 0.0f;
  }
  return std::all_of(zeros, zeros + kBlock, [](float zero) { return zero == 0; });
}

// Strides of an input.
struct InputShape {
  int64_t row, plane, pixel;  // plane: from one block (or channel, if plain) to the next
};

class Tiles : public ConvStep, public ConvByParts {
 public:
  Tiles(const Conv& conv, Kind kind) : ConvStep(conv, kind == Kind::kStem, CopyOf(kind)), kind_(kind) {
    Describe();
    ListPixels();
  }

  const ConvByParts* byParts() const override { return kind_ == Kind::kPointwise ? this : nullptr; }
  int64_t parts() const override { return static_cast<int64_t>(panels_.size()); }
  std::vector<Range> BlocksOf(int64_t part) const override {
    const Panel& panel = panels_[static_cast<size_t>(part)];
    return {{panel.firstBlock, panel.firstBlock + panel.blocks}};
  }
  void RunPart(int64_t part, Range rows, const float* packed, const float* in, const float*, float*, InBlocks<float> out) const override {
    const Panel& panel = panels_[static_cast<size_t>(part)];
    const int64_t first = rows.begin * out_.w, last = rows.end * out_.w;
    const bool far = part == 0 || (last - first) * in_.blocks * kBlock * 4 > HalfSecondCache();
    Ahead ahead = NextPanel(part, packed, TilesOf(conv_.table, panel.blocks, last - first));
    RunRow(panel, packed, &ahead, far, in, nullptr, {out.at - panel.firstBlock * out.block, out.block}, 0, first, last);
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    for (const Panel& panel : panels_) {
      const int64_t group = kind_ == Kind::kGrouped ? 0 : panel.firstBlock * kBlock / conv_.outPerGroup;
      PackPanel(panel, group, weight, bias, to);
    }
  }

  // Either runs of rows take all panels one after another, and the rows stay in the nearer caches while the weights go by; or panels take all
  // rows, and the weights stay. Whatever does not stay is read again for each round: the order with less to read again wins; if that is the same, the
  // one in which threads share what there is more of. Outer pieces that are too few for many threads are cut along the other way too.
  void RunImage(Team& team, const float* data, const float* in, const float* residual, float* out, float*) const override {
    if (kind_ == Kind::kStem) {
      RunStem(team, data, in, residual, out);
      return;
    }
    const int64_t panels = static_cast<int64_t>(panels_.size());
    const Runs runs = CutRows();
    const int64_t inputBytes = (in_.blocked ? in_.blocks * kBlock : in_.c) * in_.plane() * 4, weightBytes = packedFloats_ * 4;
    const int64_t near = HalfSecondCache();
    const int64_t rowsFirst = weightBytes * (weightBytes > near ? runs.count : 1) + inputBytes;
    const int64_t panelsFirst = inputBytes * (inputBytes > near ? panels : 1) + weightBytes;
    if (panelsFirst < rowsFirst || (panelsFirst == rowsFirst && weightBytes > inputBytes)) {
      const int64_t parts = PartsOf(panels, runs.count);
      team.Run(panels * parts, [&](int64_t task, int) {
        const int64_t p = task / parts, part = task % parts;
        RunPanel(runs, runs.count * part / parts, runs.count * (part + 1) / parts, p, inputBytes > near || p == 0, data, in, residual, out);
      });
      return;
    }
    const int64_t parts = PartsOf(runs.count, panels);
    team.Run(runs.count * parts, [&](int64_t task, int) {
      const int64_t run = task / parts, part = task % parts;
      const Range some = Share(panels, parts, part);
      for (int64_t p = some.begin; p < some.end; ++p) RunPanel(runs, run, run + 1, p, p == some.begin, data, in, residual, out);
    });
  }

  // A task copies the rows that it reads, with their padding, to where they stay in the nearer caches; unless all of the image is there. Few rows, as a signal has
  // one, are copied by several tasks, each for some of the panels.
  void RunStem(Team& team, const float* data, const float* in, const float* residual, float* out) const {
    const Runs runs = CutRows();
    const int64_t panels = static_cast<int64_t>(panels_.size()), parts = PartsOf(runs.count, panels);
    team.Run(runs.count * parts, [&](int64_t task, int) {
      const int64_t run = task / parts;
      const auto runPanels = [&](const float* from) {
        const Range some = Share(panels, parts, task % parts);
        for (int64_t p = some.begin; p < some.end; ++p) RunPanel(runs, run, run + 1, p, false, data, from, residual, out);
      };
      if (inPlace()) {
        runPanels(in);
        return;
      }
      const int64_t begin = runs.units * run / runs.count, end = runs.units * (run + 1) / runs.count, first = begin * conv_.stride[0];
      float* copy = ThreadScratch(static_cast<size_t>(in_.c * shape_.plane));
      for (int64_t c = 0; c < in_.c; ++c) {
        CopyRows(in + c * in_.plane(), in_.h, in_.w, first - conv_.padding.top, RowsRead(end - begin), conv_.padding.left, shape_.row, copy + c * shape_.plane);
      }
      runPanels(copy - first * shape_.row);
    });
  }

  // Where rows would fill less than three quarters of their tiles, tiles take pixels from any row: the list of where each pixel lies.
  void ListPixels() {
    if (unitChannels_ != kBlock || kind_ == Kind::kPointwise || FillsTiles(conv_.table, out_.w)) return;
    for (int64_t y = 0; y < out_.h; ++y) {
      for (int64_t x = 0; x < out_.w; ++x) {
        inAt_.push_back(y * conv_.stride[0] * shape_.row + x * conv_.stride[1] * shape_.pixel);
        outAt_.push_back((y * out_.w + x) * kBlock);
      }
    }
  }

  // Runs of rows, or of tiles where all rows are one: about 128 KB of input each, at least two tiles, and nearly the same size.
  struct Runs {
    int64_t count, units;  // rows, or tiles if flat
    int64_t width;         // pixels of a row; of all rows if flat
    bool flat;
  };
  Runs CutRows() const {
    Runs r;
    r.flat = kind_ == Kind::kPointwise || (kind_ == Kind::kGrouped && IsFlat(conv_)) || !inAt_.empty();
    r.width = r.flat ? out_.plane() : out_.w;
    r.units = r.flat ? TilesOf(conv_.table, conv_.table.tileBlocks, r.width) : out_.h;
    const int64_t tile = conv_.table.tilePixels;
    const int64_t bytesPerPixel = std::max<int64_t>(1, (in_.blocked ? in_.blocks * kBlock : in_.c) * 4);
    const int64_t pixels = std::max(2 * tile, (int64_t{128} << 10) / bytesPerPixel);
    const int64_t perRun = std::max<int64_t>(1, pixels / (r.flat ? tile : r.width));
    const int64_t least = std::min(conv_.wantedTasks, r.flat ? r.units / 2 : r.units);
    r.count = std::max<int64_t>({1, least, (r.units + perRun - 1) / perRun});
    return r;
  }

  // How many pieces to cut each of `outer` into, of at most `inner`.
  int64_t PartsOf(int64_t outer, int64_t inner) const { return std::clamp<int64_t>((conv_.wantedTasks + outer - 1) / outer, 1, inner); }

  Ahead NextPanel(int64_t p, const float* data, int64_t tiles) const {
    if (p + 1 == static_cast<int64_t>(panels_.size())) return {nullptr, 0, 1};
    const Panel& next = panels_[static_cast<size_t>(p + 1)];
    return {data + next.weights, next.lanes() * next.tapCount * unit(), tiles};
  }

  // One panel on runs firstRun .. lastRun - 1.
  void RunPanel(const Runs& runs, int64_t firstRun, int64_t lastRun, int64_t p, bool far, const float* data, const float* in, const float* residual, float* out) const {
    const Panel& panel = panels_[static_cast<size_t>(p)];
    const int64_t begin = runs.units * firstRun / runs.count, end = runs.units * lastRun / runs.count;
    if (runs.flat) {
      const int64_t tile = conv_.table.tilePixels, first = begin * tile, last = std::min(runs.width, end * tile);
      Ahead ahead = NextPanel(p, data, TilesOf(conv_.table, panel.blocks, last - first));
      RunRow(panel, data, &ahead, far, in, residual, {out, out_.plane() * kBlock}, 0, first, last);
      if (kind_ == Kind::kGrouped) Repair(panel, data, in, residual, out, 0, first, last);
      return;
    }
    Ahead ahead = NextPanel(p, data, (end - begin) * TilesOf(conv_.table, panel.blocks, runs.width));
    for (int64_t y = begin; y < end; ++y) {
      RunRow(panel, data, &ahead, far, in, residual, {out, out_.plane() * kBlock}, y, 0, runs.width);
      if (kind_ == Kind::kGrouped) Repair(panel, data, in, residual, out, y, 0, runs.width);
    }
  }

  // What is not finite in one group, times the zeros that stand for it in the weights of another, is NaN there: such outputs are summed again over their group.
  void Repair(const Panel& panel, const float* data, const float* in, const float* residual, float* out, int64_t y, int64_t begin, int64_t end) const {
    const float* row = in + y * conv_.stride[0] * shape_.row;
    for (int64_t b = panel.firstBlock; b < panel.firstBlock + panel.blocks; ++b) {
      float* const block = out + (b * out_.h + y) * out_.w * kBlock;
      // Its channels are looked at one by one only if need be.
      if (AllFinite(block + begin * kBlock, (end - begin) * kBlock)) continue;
      for (int64_t o = b * kBlock; o < std::min(out_.c, (b + 1) * kBlock); ++o) {
        for (int64_t x = begin; x < end; ++x) {
          float* const to = block + x * kBlock + o % kBlock;
          if (!std::isnan(*to)) continue;
          *to = SumOfGroup(panel, data, o, row + x * conv_.stride[1] * shape_.pixel) + (residual ? residual[to - out] : 0.0f);
          conv_.table.UnaryRun({to, to, 1, UnaryKind::kActivation, conv_.epilogue.fused.Of(o)});
        }
      }
    }
  }

  // Of one output channel at a pixel that reads `from`, in the order of the tiles.
  float SumOfGroup(const Panel& panel, const float* data, int64_t o, const float* from) const {
    const int64_t first = InputChannels(panel, 0).begin, lane = o - panel.firstBlock * kBlock, taps = conv_.kh * conv_.kw;
    const int64_t begin = (o / conv_.outPerGroup * conv_.inPerGroup - first) * taps;
    float sum = data[panel.bias + lane];
    for (int64_t t = begin; t < begin + conv_.inPerGroup * taps; ++t) sum += from[taps_[static_cast<size_t>(panel.taps + t)]] * data[panel.weights + t * panel.lanes() + lane];
    return sum;
  }

  // Pixels begin .. end - 1 of a row.
  void RunRow(const Panel& panel, const float* data, Ahead* ahead, bool far, const float* in, const float* residual, InBlocks<float> out, int64_t y, int64_t begin,
              int64_t end) const {
    ConvTileArgs args = {};
    args.inPixel = (kind_ == Kind::kPointwise ? 1 : conv_.stride[1]) * shape_.pixel;
    SetTaps(&args, taps_.data() + panel.taps, panel.tapCount, far);
    args.unit = static_cast<int>(unit());
    args.weights = data + panel.weights;
    args.bias = data + panel.bias;
    args.outPixel = kBlock;
    args.outBlock = out.block;
    args.blocks = static_cast<int>(panel.blocks);
    args.activation = conv_.epilogue.fused.From(panel.firstBlock * kBlock);
    const int64_t line = panel.firstBlock * args.outBlock + y * out_.w * kBlock;
    const float* row = in + y * conv_.stride[0] * shape_.row;
    if (begin == end) return;
    ForTiles(end - begin, TilesOf(conv_.table, panel.blocks, end - begin), [&](int64_t first, int64_t pixels, int64_t tiles) {
      const int64_t x = begin + first;
      args.pixels = static_cast<int>(pixels);
      if (inAt_.empty()) {
        args.in = row + x * args.inPixel;
        args.out = out.at + line + x * kBlock;
        args.residual = residual ? residual + line + x * kBlock : nullptr;
        args.more = tiles - 1;
        ahead->Next(&args);
        conv_.table.ConvTile(args);
        return;
      }
      args.in = row;
      args.out = out.at + line;
      args.residual = residual ? residual + line : nullptr;
      for (int64_t t = 0; t < tiles; ++t) {
        args.inAt = inAt_.data() + x + t * pixels;
        args.outAt = outAt_.data() + x + t * pixels;
        ahead->Next(&args);
        conv_.table.ConvTile(args);
      }
    });
  }

 private:
  static int64_t HalfSecondCache() { return static_cast<int64_t>(SecondCacheBytes()) / 2; }

  static Copy CopyOf(Kind kind) { return kind == Kind::kStem ? Copy::kNone : kind == Kind::kPointwise ? Copy::kPicked : Copy::kPadded; }

  // Nothing is gained where all of the image is in the first cache, or where each row is read once for all panels of a run.
  bool inPlace() const { return kind_ == Kind::kStem && !conv_.padding.any() && (in_.c * in_.plane() * 4 <= kNearBytes || conv_.stride[0] >= conv_.kh); }

  // Of the padded input, by so many rows of the output.
  int64_t RowsRead(int64_t rows) const { return (rows - 1) * conv_.stride[0] + (conv_.kh - 1) * conv_.dilation[0] + 1; }

  // Lays out taps and panels; the weights themselves come in Pack.
  void Describe() {
    unitChannels_ = kind_ == Kind::kStem || kind_ == Kind::kGrouped ? 1 : kBlock;
    // Eight columns of a patch are as good as eight channels.
    unitColumns_ = kind_ == Kind::kStem && conv_.kw % kBlock == 0 && conv_.dilation[1] == 1 ? kBlock : 1;
    const int64_t pixel = in_.blocked ? kBlock : 1;
    const Padding& pad = conv_.padding;
    const int64_t row = (in_.w + pad.left + pad.right) * pixel;
    const Runs runs = CutRows();
    const int64_t rows = kind_ == Kind::kStem && !inPlace() ? RowsRead((runs.units + runs.count - 1) / runs.count) : in_.h + pad.top + pad.bottom;
    shape_ = {row, rows * row, pixel};
    const GroupedPanels cut = kind_ == Kind::kGrouped ? CutGrouped(conv_) : GroupedPanels{};
    int64_t at = 0;
    for (int64_t g = 0; g < (kind_ == Kind::kGrouped ? 1 : conv_.groups); ++g) {
      const int64_t groupBlocks = kind_ == Kind::kGrouped ? out_.blocks : Blocks(conv_.outPerGroup);
      for (int64_t b = 0; b < groupBlocks; b += panels_.back().blocks) {
        Panel panel;
        panel.firstBlock = g * groupBlocks + b;
        panel.blocks = kind_ == Kind::kGrouped ? cut.blocks[panels_.size()] : PanelBlocks(conv_.table, groupBlocks - b);
        panel.taps = static_cast<int64_t>(taps_.size());
        AddTaps(panel, g);
        panel.tapCount = static_cast<int64_t>(taps_.size()) - panel.taps;
        panel.bias = at;
        panel.weights = at + panel.lanes();
        at += panel.lanes() * (1 + panel.tapCount * unit());
        panels_.push_back(panel);
      }
    }
    packedFloats_ = at;
  }

  // Numbers of a tap.
  int64_t unit() const { return unitChannels_ * unitColumns_; }

  // Input channels that a panel reads: all of its group, or of all the groups that it covers.
  Range InputChannels(const Panel& panel, int64_t group) const {
    if (kind_ == Kind::kGrouped) return GroupedInputs(conv_, panel.firstBlock, panel.blocks);
    return {group * conv_.inPerGroup, (group + 1) * conv_.inPerGroup};
  }

  void AddTaps(const Panel& panel, int64_t group) {
    const Range channels = InputChannels(panel, group);
    // Channel (or block of 8 of them) outermost, then rows, then columns.
    for (int64_t c = channels.begin; c < channels.end; c += unitChannels_) {
      const int64_t base = in_.blocked ? c / kBlock * shape_.plane + c % kBlock : c * shape_.plane;
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; j += unitColumns_) {
          taps_.push_back(base + i * conv_.dilation[0] * shape_.row + j * conv_.dilation[1] * shape_.pixel);
        }
      }
    }
  }

  // Weights of a panel, [channel][row][column][unit][lane], zero where a lane has no channel or a channel is not of the lane's group.
  void PackPanel(const Panel& panel, int64_t group, const float* weight, const float* bias, float* to) const {
    const int64_t lanes = panel.lanes();
    const int64_t firstOut = panel.firstBlock * kBlock;
    const Range channels = InputChannels(panel, group);
    for (int64_t l = 0; l < lanes; ++l) {
      to[panel.bias + l] = bias && firstOut + l < out_.c ? bias[firstOut + l] : 0.0f;
    }
    float* w = to + panel.weights;
    for (int64_t c = channels.begin; c < channels.end; c += unitChannels_) {
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; j += unitColumns_) {
          for (int64_t u = 0; u < unit(); ++u) {
            const int64_t channel = c + u / unitColumns_, column = j + u % unitColumns_;
            for (int64_t l = 0; l < lanes; ++l) *w++ = WeightOf(firstOut + l, channel, weight, i, column);
          }
        }
      }
    }
  }

  float WeightOf(int64_t o, int64_t channel, const float* weight, int64_t i, int64_t j) const {
    if (o >= out_.c) return 0.0f;
    const int64_t inGroup = channel - o / conv_.outPerGroup * conv_.inPerGroup;
    if (inGroup < 0 || inGroup >= conv_.inPerGroup) return 0.0f;
    return conv_.Weight(weight, o, inGroup, i, j);
  }

  static constexpr int64_t kNearBytes = 32 << 10;

  Kind kind_;
  InputShape shape_ = {0, 0, 0};
  int64_t unitChannels_ = kBlock, unitColumns_ = 1;
  std::vector<ptrdiff_t> taps_, inAt_, outAt_;
  std::vector<Panel> panels_;
  int64_t packedFloats_ = 0;
};

double CostOf(const Conv& c, Kind kind) {
  const int64_t channels = kind == Kind::kStem ? c.x.c : Blocks(c.inPerGroup) * kBlock, outBlocks = Blocks(c.outPerGroup);
  const double steps = static_cast<double>(channels * c.kh * c.kw);
  const bool flat = kind == Kind::kPointwise || !FillsTiles(c.table, c.y.w);
  const double products = flat ? PanelsCost(c.table, outBlocks, c.y.plane(), steps) : static_cast<double>(c.y.h) * PanelsCost(c.table, outBlocks, c.y.w, steps);
  return static_cast<double>(c.groups) * products + StreamCost(c.table, CopiedFloats(c) + steps * static_cast<double>(c.y.c));
}

}  // namespace

Reason AcceptsStem(const Conv& c) {
  if (c.x.blocked) return "input in blocks";
  if (c.groups != 1) return "groups";
  return c.x.c < kBlock ? "" : "more than 7 input channels";
}

Reason AcceptsPointwise(const Conv& c) {
  if (c.kh != 1 || c.kw != 1) return "kernel larger than 1x1";
  if (!FillsBlocks(c)) return "groups that do not fill blocks of 8 channels";
  return c.padding.any() ? "padding" : "";
}

Reason AcceptsDirect(const Conv& c) {
  if (!FillsBlocks(c)) return "groups that do not fill blocks of 8 channels";
  return AcceptsPointwise(c).empty() ? "a 1x1 kernel" : "";
}

double CostStem(const Conv& c) { return CostOf(c, Kind::kStem); }
double CostPointwise(const Conv& c) { return CostOf(c, Kind::kPointwise); }
double CostDirect(const Conv& c) { return CostOf(c, Kind::kDirect); }

std::unique_ptr<ConvStep> MakeStem(const Conv& conv) { return std::make_unique<Tiles>(conv, Kind::kStem); }
std::unique_ptr<ConvStep> MakeGrouped(const Conv& conv) { return std::make_unique<Tiles>(conv, Kind::kGrouped); }
std::unique_ptr<ConvStep> MakePointwise(const Conv& conv) { return std::make_unique<Tiles>(conv, Kind::kPointwise); }
std::unique_ptr<ConvStep> MakeDirect(const Conv& conv) { return std::make_unique<Tiles>(conv, Kind::kDirect); }

}  // namespace xcorr
