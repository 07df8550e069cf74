// conv2d to few output channels (kernels/dots.h): the last layer of a network that makes an image or a mask. Its images come in blocks and leave as planes.
//
// A task is a run of rows; of 1x1 kernels all rows are one.
#include <algorithm>

#include "dotWeights.h"

namespace xcorr {
namespace {

class Dots : public ConvStep {
 public:
  explicit Dots(const Conv& conv) : ConvStep(conv, false, Copy::kPadded, true) {
    const int64_t row = (in_.w + conv_.padding.left + conv_.padding.right) * kBlock, plane = (in_.h + conv_.padding.top + conv_.padding.bottom) * row;
    inRow_ = conv_.stride[0] * row;
    for (int64_t c = 0; c < in_.blocks; ++c) {
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; ++j) taps_.push_back(c * plane + i * conv_.dilation[0] * row + j * conv_.dilation[1] * kBlock);
      }
    }
    flat_ = conv_.kh * conv_.kw == 1 && conv_.stride[0] == 1 && conv_.stride[1] == 1 && !conv_.padding.any();
  }

 protected:
  int64_t packedFloats() const override { return kDotBias + static_cast<int64_t>(taps_.size()) * out_.c * kBlock; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    to = PackDotBias(conv_, bias, to);
    PackDots(conv_, conv_.kh * conv_.kw, [&](int64_t o, int64_t c, int64_t t) { return conv_.Weight(weight, o, c, t / conv_.kw, t % conv_.kw); }, to);
  }

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float*) const override {
    const int64_t tasks = std::min(conv_.wantedTasks, out_.h);
    team.Run(tasks, [&](int64_t task, int) {
      const Range rows = Share(out_.h, tasks, task);
      DotsArgs args = DotsArgsOf(conv_, packed);
      args.inPixel = conv_.stride[1] * kBlock;
      args.taps = taps_.data();
      args.tapCount = static_cast<int64_t>(taps_.size());
      args.weights = packed + kDotBias;
      args.outPixel = 1;
      const auto run = [&](int64_t x, int64_t y, int64_t pixels) {
        const int64_t place = y * out_.w + x;
        args.in = in + y * inRow_ + x * args.inPixel;
        args.residual = residual ? residual + place : nullptr;
        args.out = out + place;
        args.pixels = pixels;
        conv_.table.Dots(args);
      };
      if (flat_) return run(0, rows.begin, rows.size() * out_.w);
      for (int64_t x = 0; x < out_.w; x += kDotPixels) {
        for (int64_t y = rows.begin; y < rows.end; ++y) run(x, y, std::min(kDotPixels, out_.w - x));
      }
    });
  }

 private:
  int64_t inRow_;
  bool flat_;  // all rows follow one another in the input as in the output
  std::vector<ptrdiff_t> taps_;
};

}  // namespace

Reason AcceptsDots(const Conv& c) { return AcceptsFewOutputs(c); }

double CostDots(const Conv& c) {
  const double copied = c.padding.any() ? static_cast<double>(c.x.blockedFloats() / c.x.n) : 0;
  return DotsCost(c, static_cast<double>(c.y.plane()), static_cast<double>(c.x.blocks * c.kh * c.kw)) + StreamCost(c.table, copied);
}

std::unique_ptr<ConvStep> MakeDots(const Conv& conv) { return std::make_unique<Dots>(conv); }

}  // namespace xcorr
