// conv2d to few output channels (kernels/dots.h): the last layer of a network that makes an image or a mask. Its images come in blocks and leave as planes.
//
// A task is a run of rows; of 1x1 kernels all rows are one. It goes through them some columns at a time, and copies those that reach over an edge.
#include <algorithm>

#include "dotWeights.h"

namespace xcorr {
namespace {

class Dots : public ConvStep {
 public:
  explicit Dots(const Conv& conv) : ConvStep(conv, false, Copy::kNone, true), tasks_(std::min(conv_.wantedTasks, out_.h)) {
    flat_ = conv_.kh * conv_.kw == 1 && conv_.stride[0] == 1 && conv_.stride[1] == 1 && !conv_.padding.any();
    copiedRow_ = ColumnsRead(kDotPixels) * kBlock;
    copiedPlane_ = RowsRead((out_.h + tasks_ - 1) / tasks_) * copiedRow_;
    taps_ = TapsOf(in_.plane() * kBlock, in_.w * kBlock);
    copiedTaps_ = TapsOf(copiedPlane_, copiedRow_);
  }

 protected:
  int64_t packedFloats() const override { return kDotBias + static_cast<int64_t>(taps_.size()) * out_.c * kBlock; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    to = PackDotBias(conv_, bias, to);
    PackDots(conv_, conv_.kh * conv_.kw, [&](int64_t o, int64_t c, int64_t t) { return conv_.Weight(weight, o, c, t / conv_.kw, t % conv_.kw); }, to);
  }

  void RunImage(Team& team, const float* packed, const float* in, const float* residual, float* out, float*) const override {
    team.Run(tasks_, [&](int64_t task, int) {
      const Range rows = Share(out_.h, tasks_, task);
      DotsArgs args = DotsArgsOf(conv_, packed);
      args.inPixel = conv_.stride[1] * kBlock;
      args.tapCount = static_cast<int64_t>(taps_.size());
      args.weights = packed + kDotBias;
      args.outPixel = 1;
      const auto run = [&](const float* from, int64_t y, int64_t x, int64_t pixels) {
        const int64_t place = y * out_.w + x;
        args.in = from;
        args.residual = residual ? residual + place : nullptr;
        args.out = out + place;
        args.pixels = pixels;
        conv_.table.Dots(args);
      };
      args.taps = taps_.data();
      if (flat_) return run(in + rows.begin * in_.w * kBlock, rows.begin, 0, rows.size() * out_.w);
      const int64_t top = rows.begin * conv_.stride[0] - conv_.padding.top, height = RowsRead(rows.size());
      for (int64_t x = 0; x < out_.w; x += kDotPixels) {
        const int64_t pixels = std::min(kDotPixels, out_.w - x), left = x * conv_.stride[1] - conv_.padding.left;
        const bool inside = top >= 0 && top + height <= in_.h && left >= 0 && left + ColumnsRead(pixels) <= in_.w;
        const float* from = inside ? in + (top * in_.w + left) * kBlock : CopyWindow(in, top, height, left);
        const int64_t row = conv_.stride[0] * (inside ? in_.w * kBlock : copiedRow_);
        args.taps = inside ? taps_.data() : copiedTaps_.data();
        for (int64_t y = rows.begin; y < rows.end; ++y, from += row) run(from, y, x, pixels);
      }
    });
  }

 private:
  int64_t RowsRead(int64_t rows) const { return (rows - 1) * conv_.stride[0] + (conv_.kh - 1) * conv_.dilation[0] + 1; }
  int64_t ColumnsRead(int64_t pixels) const { return (pixels - 1) * conv_.stride[1] + (conv_.kw - 1) * conv_.dilation[1] + 1; }

  std::vector<ptrdiff_t> TapsOf(int64_t plane, int64_t row) const {
    std::vector<ptrdiff_t> taps;
    for (int64_t c = 0; c < in_.blocks; ++c) {
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; ++j) taps.push_back(c * plane + i * conv_.dilation[0] * row + j * conv_.dilation[1] * kBlock);
      }
    }
    return taps;
  }

  // What some pixels of a task's rows read, with zeros where the image ends.
  const float* CopyWindow(const float* in, int64_t top, int64_t height, int64_t left) const {
    float* copy = ThreadScratch(static_cast<size_t>(in_.blocks * copiedPlane_));
    for (int64_t c = 0; c < in_.blocks; ++c) {
      CopyRows(in + c * in_.plane() * kBlock, in_.h, in_.w * kBlock, top, height, -left * kBlock, copiedRow_, copy + c * copiedPlane_);
    }
    return copy;
  }

  int64_t tasks_, copiedRow_, copiedPlane_;
  bool flat_;  // all rows follow one another in the input as in the output
  std::vector<ptrdiff_t> taps_, copiedTaps_;
};

}  // namespace

Reason AcceptsDots(const Conv& c) { return AcceptsFewOutputs(c); }

double CostDots(const Conv& c) {
  return DotsCost(c, static_cast<double>(c.y.plane()), static_cast<double>(c.x.blocks * c.kh * c.kw));
}

std::unique_ptr<ConvStep> MakeDots(const Conv& conv) { return std::make_unique<Dots>(conv); }

}  // namespace xcorr
