// conv2d, depthwise: one input channel per output channel. Windows slide over the rows of blocks of 8 channels.
#include "conv2d.h"

namespace xcorr {
namespace {

class Depthwise : public ConvStep {
 public:
  explicit Depthwise(const Conv& conv) : ConvStep(conv, false, Copy::kNone) {}

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

  void RunImage(Team& team, const float* data, const float* in, const float* residual, float* out, float*) const override {
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
};

}  // namespace

Reason AcceptsDepthwise(const Conv& c) {
  if (c.groups == 1 || c.inPerGroup != 1 || c.outPerGroup != 1) return "more than one channel per group";
  return "";
}

std::unique_ptr<ConvStep> MakeDepthwise(const Conv& conv) { return std::make_unique<Depthwise>(conv); }

}  // namespace xcorr
