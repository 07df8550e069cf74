// conv2d with a 1x1 kernel by one step of Strassen's method in Winograd's form: seven products of matrices instead of eight.
//
// Pixels are the rows of X, cut into first and second; input channels are its columns, cut into halves, as outputs are those of Y = X W:
//
//   S1 = X21 + X22   S2 = S1 - X11   S3 = X11 - X21   S4 = X12 - S2        T1 = W12 - W11   T2 = W22 - T1   T3 = W22 - W12   T4 = T2 - W21
//   P1 = X11 W11     P2 = X12 W21    P3 = S4 W22      P4 = X22 T4          P5 = S1 T1       P6 = S2 T2      P7 = S3 T3
//   Y11 = P1 + P2    Y12 = U2 + P5 + P3    Y21 = U3 - P4    Y22 = U3 + P5        with U2 = P1 + P6, U3 = U2 + P7
//
// A block of pixels first makes its sums S, then takes panel after panel of the first outputs and, with it, of the second: product after product for
// all tiles of the block, so that each matrix of weights stays in the first cache meanwhile. With few blocks, panels are tasks of their own.
//
// A value that is not finite would spread from the first pixels to the second: when one shows in the results, the block is done again directly.
//
// Winograd 1971, On multiplication of 2 x 2 matrices.
#include <algorithm>
#include <iterator>

#include "convCost.h"

namespace xcorr {
namespace {

// What is multiplied: quarters of the input, and sums of them.
enum Factor : int { kX11, kX12, kX21, kX22, kS1, kS2, kS3, kS4 };
// With what. Those from both halves of the inputs to the same outputs are neighbours.
enum Matrix : int { kW11, kW21, kT2, kT3, kMinusT4, kT1, kW12, kW22, kMatrices };
// Sums of products that are needed again.
enum Kept : int { kP1, kU2, kU3, kP5, kKept };
constexpr int kNone = -1, kSums = 4;

struct Product {
  int factor, matrix;  // kNone: nothing is multiplied
  int added[2];        // kept sums
  int keep;            // as which; kNone: it is the output of
  int pixels, outs;    // these, 0 or 1
};
// In an order in which the second outputs come last, and the weights as they lie.
constexpr Product kProducts[] = {
    {kX11, kW11, {kNone, kNone}, kP1, 0, 0},   {kX12, kW21, {kP1, kNone}, kNone, 0, 0},    {kS2, kT2, {kP1, kNone}, kU2, 0, 0},
    {kS3, kT3, {kU2, kNone}, kU3, 0, 0},       {kX22, kMinusT4, {kU3, kNone}, kNone, 1, 0}, {kS1, kT1, {kNone, kNone}, kP5, 0, 1},
    {kS4, kW22, {kU2, kP5}, kNone, 0, 1},      {kNone, kNone, {kU3, kP5}, kNone, 1, 1},
};
constexpr int64_t kMultiplied = 7;

// Blocks of input channels of the first half. Of an odd number, the second has one less; it is as if that were zeros.
int64_t HalfOf(const Conv& c) { return (c.x.blocks + 1) / 2; }

// Blocks of so many pairs of pixels: it is better to read their sums from afar than weights more often. More blocks, down to one tile each, if the panels alone
// are few tasks.
struct Cut {
  int64_t blocks, pairs, panels;  // pairs: of the largest block
};
Cut CutPixels(const Conv& c) {
  const int64_t tile = c.table.tilePixels, pairs = (c.y.plane() + 1) / 2, fit = (c.table.lanes > kBlock ? 196 : 104) / tile * tile;
  const int64_t panels = (c.y.blocks / 2 + c.table.tileBlocks - 1) / c.table.tileBlocks, tasks = (kLeastTasks + panels - 1) / panels;
  const int64_t blocks = std::max((pairs + fit - 1) / fit, std::min(tasks, std::max<int64_t>(1, pairs / tile)));
  return {blocks, ((c.y.plane() + blocks - 1) / blocks + 1) / 2, panels};
}

class Strassen : public ConvStep, public ConvByParts {
 public:
  explicit Strassen(const Conv& conv)
      : ConvStep(conv, false, Copy::kPicked), plane_(in_.plane()), inHalf_(HalfOf(conv)), outHalf_((out_.blocks + 1) / 2), steps_(inHalf_ * kBlock),
        cut_(CutPixels(conv)) {
    const int64_t both = out_.blocks / 2;
    // Of an odd number of panels, the one in the middle in halves, where these are as fast: two threads then have as much to do.
    const int64_t wide = conv_.table.tileBlocks, middle = wide > 2 && cut_.panels % 2 == 1 ? cut_.panels / 2 * wide : -1;
    for (int64_t b = 0; b < both; b += panels_.back().blocks) {
      const int64_t blocks = PanelBlocks(conv_.table, both - b);
      AddPanel(b, blocks == wide && (b == middle || b == middle + wide / 2) ? wide / 2 : blocks, true);
    }
    if (both < outHalf_) AddPanel(both, 1, false);
    for (int64_t c = 0; c < in_.blocks; ++c) inputTaps_.push_back(c * plane_ * kBlock);
    for (int64_t c = 0; c < inHalf_; ++c) sumTaps_.push_back(c * cut_.pairs * kBlock);
    if (in_.blocks % 2 != 0) zeros_.resize(static_cast<size_t>(cut_.pairs * kBlock));
  }

  const ConvByParts* byParts() const override { return this; }
  int64_t parts() const override { return static_cast<int64_t>(panels_.size()); }
  std::vector<Range> BlocksOf(int64_t part) const override {
    const Panel& panel = panels_[static_cast<size_t>(part)];
    const Range first = {panel.firstBlock, panel.firstBlock + panel.blocks};
    if (!panel.both) return {first};
    return {first, {outHalf_ + first.begin, outHalf_ + first.end}};
  }
  bool wholePlanes() const override { return true; }
  int64_t sharedFloats() const override { return cut_.blocks * sumFloats(); }
  int64_t ownFloats() const override { return keptFloats(); }
  void PrepareParts(Team& team, const float* in, float* shared) const override {
    const int64_t inputParts = std::min(inHalf_, conv_.wantedTasks);
    team.Run(cut_.blocks * inputParts, [&](int64_t task, int) {
      const int64_t block = task / inputParts, part = task % inputParts;
      Sum(block, Share(inHalf_, inputParts, part), in, shared + block * sumFloats());
    });
  }
  void RunPart(int64_t part, Range, const float* packed, const float* in, const float* shared, float* own, InBlocks<float> out) const override {
    const Panel& panel = panels_[static_cast<size_t>(part)];
    float* const first = out.at - panel.firstBlock * out.block;
    const Outputs outputs[2] = {{first, nullptr, out.block}, {first + panel.blocks * out.block, nullptr, out.block}};
    for (int64_t block = 0; block < cut_.blocks; ++block) Multiply(PixelsOf(block), part, packed, in, shared + block * sumFloats(), own, outputs);
  }

 protected:
  int64_t packedFloats() const override { return packedFloats_; }
  int64_t workFloats() const override { return fused() ? 0 : sharedFloats(); }

  void Pack(const float* weight, const float* bias, float* to) const override {
    for (const Panel& panel : panels_) {
      const int64_t first[2] = {panel.firstBlock * kBlock, (outHalf_ + panel.firstBlock) * kBlock};
      const auto weightOf = [&](int half, int64_t lane, int64_t channel) {
        const int64_t o = first[half] + lane;
        return o < out_.c && channel < in_.c ? static_cast<double>(weight[o * in_.c + channel]) : 0;
      };
      for (int half = 0; half < 2; ++half) {
        for (int64_t l = 0; l < panel.lanes(); ++l) to[panel.bias + half * panel.lanes() + l] = bias && first[half] + l < out_.c ? bias[first[half] + l] : 0;
      }
      for (int64_t c = 0; c < steps_; ++c) {
        float* const row = to + panel.weights + c * panel.lanes();
        for (int64_t l = 0; l < panel.lanes(); ++l) {
          const double w11 = weightOf(0, l, c), w12 = weightOf(1, l, c), w21 = weightOf(0, l, steps_ + c), w22 = weightOf(1, l, steps_ + c), t2 = w22 - w12 + w11;
          const double of[kMatrices] = {w11, w21, t2, w22 - w12, w21 - t2, w12 - w11, w12, w22};
          for (int64_t k = 0; k < kMatrices; ++k) row[k * matrixFloats(panel) + l] = static_cast<float>(of[k]);
        }
      }
    }
  }

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float* work) const override {
    const int64_t panels = static_cast<int64_t>(panels_.size()), second = outHalf_ * plane_ * kBlock;
    const Outputs outputs[2] = {{out, residual, plane_ * kBlock}, {out + second, residual ? residual + second : nullptr, plane_ * kBlock}};
    if (fused()) {
      team.Run(cut_.blocks, [&](int64_t block, int) {
        float* sums = ThreadScratch(static_cast<size_t>(sumFloats() + keptFloats()));
        Sum(block, {0, inHalf_}, in, sums);
        for (int64_t p = 0; p < panels; ++p) Multiply(PixelsOf(block), p, packed, in, sums, sums + sumFloats(), outputs);
      });
      return;
    }
    PrepareParts(team, in, work);
    // All blocks of a panel one after another, so that its weights are read from afar once.
    const int64_t parts = PartsOfBlock();
    team.Run(panels * cut_.blocks * parts, [&](int64_t task, int) {
      const int64_t p = task / parts / cut_.blocks, block = task / parts % cut_.blocks;
      const Pixels pixels = PixelsOf(block).Part(parts, task % parts);
      Multiply(pixels, p, packed, in, work + block * sumFloats(), ThreadScratch(static_cast<size_t>(keptFloats())), outputs);
    });
  }

 private:
  // Blocks of the first outputs from firstBlock on and, if `both`, the blocks of the second outputs at the same place.
  struct Panel {
    int64_t firstBlock, blocks;
    bool both;
    int64_t bias, weights;  // in floats, in the packed data: [2][lanes], [kMatrices][steps][lanes]
    int64_t lanes() const { return blocks * kBlock; }
  };
  void AddPanel(int64_t firstBlock, int64_t blocks, bool both) {
    Panel panel = {firstBlock, blocks, both, packedFloats_, 0};
    panel.weights = panel.bias + 2 * panel.lanes();
    packedFloats_ = panel.weights + kMatrices * matrixFloats(panel);
    panels_.push_back(panel);
  }
  int64_t matrixFloats(const Panel& panel) const { return steps_ * panel.lanes(); }

  // Where a half of the output channels goes, and what is added to it or null; from one block to the next.
  struct Outputs {
    float* out;
    const float* residual;
    int64_t block;
  };

  // Pixels of a block, or some of them: `pairs` from `first` on, and as many from `second` on; sumAt: before theirs, the block has so many sums. Of an odd
  // number of pixels, the one in the middle is both.
  struct Pixels {
    int64_t first, second, pairs, sumAt;
    Pixels Part(int64_t parts, int64_t part) const {
      const Range some = Share(pairs, parts, part);
      return {first + some.begin, second + some.begin, some.size(), some.begin * kBlock};
    }
  };
  Pixels PixelsOf(int64_t block) const {
    const Range all = Share(plane_, cut_.blocks, block);
    const int64_t pairs = (all.size() + 1) / 2;
    return {all.begin, all.end - pairs, pairs, 0};
  }
  // More tasks for many threads. What is a pair stays one, whatever their number, and so do the results; a pixel that is in two belongs to one part.
  int64_t PartsOfBlock() const {
    const int64_t tasks = static_cast<int64_t>(panels_.size()) * cut_.blocks;
    if (plane_ % (2 * cut_.blocks) != 0) return 1;
    return std::clamp<int64_t>(conv_.wantedTasks / (2 * tasks), 1, std::max<int64_t>(1, cut_.pairs / conv_.table.tilePixels));
  }

  bool fused() const { return cut_.blocks >= kLeastTasks; }
  int64_t sumStep() const { return inHalf_ * cut_.pairs * kBlock + 16; }  // not a multiple of 4096 bytes: the sums would share a cache set
  int64_t sumFloats() const { return kSums * sumStep(); }
  int64_t keptStep() const { return cut_.pairs * conv_.table.widestBlocks * kBlock + 16; }
  int64_t keptFloats() const { return kKept * keptStep(); }

  void Sum(int64_t block, Range channelBlocks, const float* in, float* sums) const {
    const Pixels pixels = PixelsOf(block);
    const int64_t first = pixels.first * kBlock, second = pixels.second * kBlock;
    for (int64_t c = channelBlocks.begin; c < channelBlocks.end; ++c) {
      const float* a = in + inputTaps_[static_cast<size_t>(c)];
      const bool has = inHalf_ + c < in_.blocks;
      const float* b = has ? in + inputTaps_[static_cast<size_t>(inHalf_ + c)] : nullptr;
      const float *b1 = has ? b + first : zeros_.data(), *b2 = has ? b + second : zeros_.data();
      conv_.table.StrassenInput({{{a + first, b1}, {a + second, b2}}, pixels.pairs, sums + sumTaps_[static_cast<size_t>(c)], sumStep()});
    }
  }

  // One panel of pixels of a block, which has these sums.
  void Multiply(const Pixels& pixels, int64_t p, const float* packed, const float* in, const float* sums, float* kept, const Outputs (&outputs)[2]) const {
    static const float kZeros[64] = {};
    const Panel& panel = panels_[static_cast<size_t>(p)];
    const int64_t parts = TilesOf(conv_.table, panel.blocks, pixels.pairs);
    float poison[16] = {};
    for (int64_t k = 0; k < static_cast<int64_t>(std::size(kProducts)); ++k) {
      const Product& product = kProducts[k];
      if (product.outs == 1 && !panel.both) break;
      ConvTileArgs args = TileArgs(panel);
      const float* x = in;
      if (product.factor >= kS1) x = sums + (product.factor - kS1) * sumStep() + pixels.sumAt;
      else if (product.factor != kNone) x = in + (product.factor % 2 * inHalf_ * plane_ + (product.factor < kX21 ? pixels.first : pixels.second)) * kBlock;
      const bool ofSecond = product.factor == kX12 || product.factor == kX22;
      const int64_t blocks = product.factor == kNone ? 0 : ofSecond ? in_.blocks - inHalf_ : inHalf_;
      SetTaps(&args, product.factor < kS1 ? inputTaps_.data() : sumTaps_.data(), blocks);
      args.weights = packed + panel.weights + product.matrix * matrixFloats(panel);
      const bool keeps = product.keep != kNone;
      const Outputs& to = outputs[product.outs];
      const int64_t place = panel.firstBlock * to.block + (product.pixels == 0 ? pixels.first : pixels.second) * kBlock;
      args.bias = keeps ? kZeros : packed + panel.bias + product.outs * panel.lanes();
      args.outPixel = keeps ? panel.lanes() : kBlock;
      args.outBlock = keeps ? kBlock : to.block;
      if (!keeps) {
        args.activation = conv_.epilogue.fused;
        args.poison = poison;
      }
      Ahead ahead(NextWeights(p, k, packed), matrixFloats(panel), parts);
      ForTiles(pixels.pairs, parts, [&](int64_t begin, int64_t tilePixels, int64_t tiles) {
        args.pixels = static_cast<int>(tilePixels);
        args.more = tiles - 1;
        args.in = x + begin * kBlock;
        for (int i = 0; i < 2; ++i) args.sums[i] = product.added[i] == kNone ? nullptr : kept + product.added[i] * keptStep() + begin * panel.lanes();
        args.out = keeps ? kept + product.keep * keptStep() + begin * panel.lanes() : to.out + place + begin * kBlock;
        args.residual = keeps || !to.residual ? nullptr : to.residual + place + begin * kBlock;
        if (args.tapCount > 0) ahead.Next(&args);
        conv_.table.ConvTile(args);
      });
    }
    if (!AllFinite(poison)) RunDirectly(pixels, panel, packed, in, outputs);
  }

  // What all tiles of a panel have in common.
  static ConvTileArgs TileArgs(const Panel& panel) {
    ConvTileArgs args = {};
    args.inPixel = kBlock;
    args.unit = kBlock;
    args.blocks = static_cast<int>(panel.blocks);
    return args;
  }

  // What is multiplied after product k of panel p.
  const float* NextWeights(int64_t p, int64_t k, const float* packed) const {
    const Panel& panel = panels_[static_cast<size_t>(p)];
    if (k + 1 < kMultiplied) return packed + panel.weights + kProducts[k + 1].matrix * matrixFloats(panel);
    const size_t next = static_cast<size_t>(p + 1);
    return next < panels_.size() && panels_[next].blocks == panel.blocks ? packed + panels_[next].weights : nullptr;
  }

  void RunDirectly(const Pixels& pixels, const Panel& panel, const float* packed, const float* in, const Outputs (&outputs)[2]) const {
    ConvTileArgs args = TileArgs(panel);
    args.outPixel = kBlock;
    SetTaps(&args, inputTaps_.data(), in_.blocks);
    args.activation = conv_.epilogue.fused;
    const int64_t most = conv_.table.TilePixels(args.blocks);
    for (int half = 0; half < (panel.both ? 2 : 1); ++half) {
      args.weights = packed + panel.weights + (half == 0 ? kW11 : kW12) * matrixFloats(panel);
      args.bias = packed + panel.bias + half * panel.lanes();
      args.outBlock = outputs[half].block;
      for (int64_t begin : {pixels.first, pixels.second}) {
        for (int64_t x = begin, end = begin + pixels.pairs; x < end; x += args.pixels) {
          const int64_t at = panel.firstBlock * args.outBlock + x * kBlock;
          args.pixels = static_cast<int>(std::min(most, end - x));
          args.in = in + x * kBlock;
          args.out = outputs[half].out + at;
          args.residual = outputs[half].residual ? outputs[half].residual + at : nullptr;
          conv_.table.ConvTile(args);
        }
      }
    }
  }

  int64_t plane_, inHalf_, outHalf_, steps_;  // pixels; blocks of half the channels; input channels of half
  Cut cut_;
  int64_t packedFloats_ = 0;
  std::vector<Panel> panels_;
  std::vector<ptrdiff_t> inputTaps_, sumTaps_;
  std::vector<float> zeros_;  // the pixels of a block that is not there
};

}  // namespace

Reason AcceptsStrassen(const Conv& c) {
  if (!c.winograd) return "switched off";
  if (!c.constantWeight) return "weights that change";
  if (c.kh != 1 || c.kw != 1 || c.padding.any()) return "kernel larger than 1x1, or padding";
  if (c.groups != 1) return "groups";
  if (c.epilogue.fused.slopes) return "a slope for each channel";
  // With two wide ones a cycle, products are as fast as the second cache brings the sums.
  if (c.table.lanes > kBlock && MultiplyAddsPerCycle(c.table) > 1) return "multiply-adds fast enough to wait for its sums";
  if (c.x.blocks < 2 || c.y.blocks < 2 || c.y.plane() < 2) return "fewer than 9 channels, or one pixel";
  const Cut cut = CutPixels(c);
  return cut.blocks * cut.panels < kLeastTasks ? "too few tasks" : "";
}

double CostStrassen(const Conv& c) {
  const Cut cut = CutPixels(c);
  const int64_t steps = HalfOf(c) * kBlock, outBlocks = (c.y.blocks + 1) / 2;
  const double vectors = static_cast<double>(cut.blocks * cut.pairs * kBlock) / c.table.lanes;
  // With half as many pixels in a tile and two multiply-adds a cycle, sums weigh more (measured with AVX2; assumed with less); with one, the weights do.
  const bool wide = c.table.lanes > kBlock;
  const double sums = vectors * static_cast<double>(HalfOf(c)) * (wide ? 36 : 78), outputs = vectors * static_cast<double>(outBlocks) * (wide ? 36 : 52);
  const double products = static_cast<double>(cut.blocks) * PanelsCost(c.table, outBlocks, cut.pairs, static_cast<double>(kMultiplied * steps));
  return sums + outputs + products + (wide ? 1.5 : 1.0) * StreamCost(c.table, static_cast<double>(kMultiplied * steps * outBlocks * kBlock));
}

std::unique_ptr<ConvStep> MakeStrassen(const Conv& conv) { return std::make_unique<Strassen>(conv); }

}  // namespace xcorr
