// conv2d, depthwise: one input channel per output channel, on blocks of 8 channels (kernels/depthwiseRows.h).
//
// A task is some blocks and a run of rows. It copies what it reads, with the padding, to where it stays in the nearest cache, so that the kernel
// knows no edges.
#include <algorithm>
#include <cstring>

#include "conv2d.h"

namespace xcorr {
namespace {

class Depthwise : public ConvStep {
 public:
  explicit Depthwise(const Conv& conv) : ConvStep(conv, false, Copy::kNone) {
    reach_ = (conv_.kh - 1) * conv_.dilation[0] + 1;
    rowPixels_ = in_.w + conv_.padding.left + conv_.padding.right;
    rowsPerStep_ = conv_.stride[0] == 1 && conv_.stride[1] == 1 && conv_.dilation[0] == 1 ? 2 : 1;
    const int64_t fits = (kCopyBytes / 32 / rowPixels_ - reach_) / conv_.stride[0] + 1;
    rows_ = std::clamp<int64_t>(fits, 1, out_.h);
    // Images that the steps around this one cut by rows are cut by rows here: a thread finds what it reads in its own cache.
    if (out_.h >= kTallRows) rows_ = std::min(rows_, (out_.h + 1) / 2);
    // Few blocks of large images are cut so that many threads have work.
    while (rows_ > 4 && out_.blocks * Runs() < kFewTasks) rows_ = (rows_ + 1) / 2;
    if (rows_ < out_.h) rows_ = (rows_ + 1) / 2 * 2;
    if (Runs() == 1) blocksPerTask_ = std::clamp<int64_t>(kPixelsPerTask / out_.plane(), 1, std::max<int64_t>(1, out_.blocks / kFewTasks));
  }

 protected:
  int64_t packedFloats() const override { return out_.blocks * kBlock * (conv_.kh * conv_.kw + 1); }

  void Pack(const float* weight, const float* bias, float* to) const override {
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

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float*) const override {
    const int64_t groups = (out_.blocks + blocksPerTask_ - 1) / blocksPerTask_;
    // Run by run: a thread reads the rows that it most likely wrote.
    team.Run(groups * Runs(), [&](int64_t task, int) {
      const int64_t first = task / groups * rows_, rows = std::min(rows_, out_.h - first), group = task % groups;
      for (int64_t b = group * blocksPerTask_; b < std::min(out_.blocks, (group + 1) * blocksPerTask_); ++b) {
        RunRows(b, first, rows, packed, in, residual, out);
      }
    });
  }

 private:
  int64_t Runs() const { return (out_.h + rows_ - 1) / rows_; }

  void RunRows(int64_t block, int64_t first, int64_t rows, const float* packed, const float* in, const float* residual, float* out) const {
    const float* plane = in + block * in_.plane() * kBlock;
    const int64_t place = (block * out_.h + first) * out_.w * kBlock, row = rowPixels_ * kBlock, step = conv_.stride[0];
    const int64_t all = (rows - 1) * step + reach_;
    float* copy = ThreadScratch(static_cast<size_t>(all * row + kBlock));
    DepthwiseArgs args = {};
    args.inRow = conv_.dilation[0] * row;
    args.stride = conv_.stride[1];
    args.dilation = conv_.dilation[1];
    args.kernelRows = static_cast<int>(conv_.kh);
    args.kernelColumns = static_cast<int>(conv_.kw);
    args.bias = packed + block * kBlock * (conv_.kh * conv_.kw + 1);
    args.weights = args.bias + kBlock;
    args.outRow = out_.w * kBlock;
    args.pixels = out_.w;
    args.activation = conv_.epilogue.fused;
    // Copying keeps a step ahead (what was just written is slow to read), and asks for what it will copy next.
    int64_t copied = 0;
    const auto copyUntil = [&](int64_t end) {
      for (; copied < end; ++copied) CopyRow(plane, first * step - conv_.padding.top + copied, copy + copied * row);
    };
    for (int64_t y = 0; y < rows; y += args.rows) {
      args.rows = static_cast<int>(std::min(rowsPerStep_, rows - y));
      copyUntil(std::min(all, (y + 2 * rowsPerStep_ - 1) * step + reach_));
      for (int64_t i = copied; i < std::min(all, copied + rowsPerStep_ * step); ++i) AskForRow(plane, first * step - conv_.padding.top + i);
      args.in = copy + y * step * row;
      args.out = out + place + y * args.outRow;
      args.residual = residual ? residual + place + y * args.outRow : nullptr;
      conv_.table.DepthwiseRows(args);
    }
  }

  // Row y of the image with zeros around it; or only zeros.
  void CopyRow(const float* plane, int64_t y, float* to) const {
    const Padding& pad = conv_.padding;
    if (y < 0 || y >= in_.h) {
      std::memset(to, 0, static_cast<size_t>(rowPixels_ * kBlock) * sizeof(float));
      return;
    }
    std::memset(to, 0, static_cast<size_t>(pad.left * kBlock) * sizeof(float));
    std::memcpy(to + pad.left * kBlock, plane + y * in_.w * kBlock, static_cast<size_t>(in_.w * kBlock) * sizeof(float));
    std::memset(to + (pad.left + in_.w) * kBlock, 0, static_cast<size_t>(pad.right * kBlock) * sizeof(float));
  }

  void AskForRow(const float* plane, int64_t y) const {
    if (y < 0 || y >= in_.h) return;
    const float* row = plane + y * in_.w * kBlock;
    for (int64_t line = 0; line < in_.w / 2; ++line) __builtin_prefetch(row + line * 16);
  }

  static constexpr int64_t kCopyBytes = 40 << 10, kFewTasks = 16, kPixelsPerTask = 1024, kTallRows = 24;

  int64_t reach_, rowPixels_, rows_, rowsPerStep_, blocksPerTask_ = 1;
};

}  // namespace

Reason AcceptsDepthwise(const Conv& c) {
  if (c.groups == 1 || c.inPerGroup != 1 || c.outPerGroup != 1) return "more than one channel per group";
  return "";
}

std::unique_ptr<ConvStep> MakeDepthwise(const Conv& conv) { return std::make_unique<Depthwise>(conv); }

}  // namespace xcorr
