// Depthwise conv2d of plain images (kernels/depthwisePlanes.h), for what comes as planes and is wanted as planes: a layer alone.
//
// A task is some planes, or a run of rows of one. With dilation d of rows, the output's rows r, r + d, r + 2d, ... read each d-th row of the input only: the
// kernel makes them as an image of their own, for each r.
#include <algorithm>
#include <cmath>

#include "convCost.h"

namespace xcorr {
namespace {

class DepthwisePlanes : public ConvStep {
 public:
  explicit DepthwisePlanes(const Conv& conv) : ConvStep(conv, true, Copy::kNone, true) {
    const int64_t floats = std::max<int64_t>(1, out_.plane() * taps());
    runs_ = std::clamp<int64_t>(std::max(floats / kTaskFloats, conv_.wantedTasks / out_.c), 1, out_.h);
    planesPerTask_ = runs_ > 1 ? 1 : std::clamp<int64_t>(kTaskFloats / floats, 1, std::max<int64_t>(1, out_.c / conv_.wantedTasks));
  }

 protected:
  int64_t packedFloats() const override { return out_.c * (1 + taps()); }

  void Pack(const float* weight, const float* bias, float* to) const override {
    for (int64_t c = 0; c < out_.c; ++c) {
      *to++ = bias ? bias[c] : 0.0f;
      to = std::copy_n(weight + c * taps(), taps(), to);
    }
  }

  void RunImage(Team& team, const float* packed, const float* in, const float*, float* out, float*) const override {
    const int64_t groups = (out_.c + planesPerTask_ - 1) / planesPerTask_;
    team.Run(groups * runs_, [&](int64_t task, int) {
      const int64_t first = task / runs_ * planesPerTask_;
      const Range rows = Share(out_.h, runs_, task % runs_);
      const Activation& fused = conv_.epilogue.fused;
      DepthwisePlanesArgs args = {};
      args.width = in_.w;
      args.inPlane = in_.plane();
      args.left = conv_.padding.left;
      args.kernel = static_cast<int>(conv_.kh);
      args.stride = static_cast<int>(conv_.stride[0]);
      args.dilation = conv_.dilation[1];
      args.data = packed + first * (1 + taps());
      args.outPlane = out_.plane();
      args.pixels = out_.w;
      args.planes = std::min(planesPerTask_, out_.c - first);
      args.whole = runs_ == 1;
      args.low = clips() ? fused.a : -INFINITY;
      args.high = clips() ? fused.b : INFINITY;
      const int64_t step = conv_.dilation[0];
      for (int64_t r = 0; r < step; ++r) RunRows(args, in + first * in_.plane(), out + first * out_.plane(), rows, r, step);
      if (fused.kind == ActivationKind::kNone || clips()) return;
      float* made = out + first * out_.plane() + rows.begin * out_.w;
      if (!fused.slopes) return conv_.table.UnaryRun({made, made, args.planes * rows.size() * out_.w, UnaryKind::kActivation, fused});
      for (int64_t p = 0; p < args.planes; ++p) {
        float* plane = made + p * out_.plane();
        conv_.table.UnaryRun({plane, plane, rows.size() * out_.w, UnaryKind::kActivation, fused.Of(first + p)});
      }
    });
  }

 private:
  // Rows r, r + step, r + 2 * step, ... of the output, as far as they are in `rows`; in and out: row 0 of the first plane.
  void RunRows(DepthwisePlanesArgs args, const float* in, float* out, Range rows, int64_t r, int64_t step) const {
    args.begin = std::max<int64_t>(0, rows.begin - r + step - 1) / step;
    args.end = std::max<int64_t>(0, rows.end - r + step - 1) / step;
    if (args.begin == args.end) return;
    // The first row that they may read, and how many rows before it the first of them begins.
    const int64_t above = conv_.padding.top - r, first = above <= 0 ? -above : (step - above % step) % step;
    args.top = (above + first) / step;
    args.in = in + first * in_.w;
    args.height = (std::max<int64_t>(0, in_.h - first) + step - 1) / step;
    args.inRow = step * in_.w;
    args.out = out + (args.begin * step + r) * out_.w;
    args.outRow = step * out_.w;
    conv_.table.DepthwisePlanes(args);
  }

  int64_t taps() const { return conv_.kh * conv_.kw; }
  // Limits are the kernel's; other activations go over what it has written.
  bool clips() const { return conv_.epilogue.fused.kind == ActivationKind::kClip && !conv_.epilogue.fused.affine; }

  // Multiply-adds of numbers that are worth a task: some 10 us.
  static constexpr int64_t kTaskFloats = 400000;

  int64_t runs_, planesPerTask_;
};

}  // namespace

Reason AcceptsDepthwisePlanes(const Conv& c) {
  if (c.groups == 1 || c.inPerGroup != 1 || c.outPerGroup != 1) return "more than one channel per group";
  if (c.x.blocked || c.y.blocked) return "images in blocks";
  if (c.hasResidual) return "a residual";
  if (c.stride[0] != c.stride[1] || c.stride[0] > 2) return "strides other than 1 and 2";
  if (c.dilation[0] != 1 || c.dilation[1] != 1) return c.kh == 3 && c.kw == 3 && c.stride[0] == 1 ? "" : "dilation of other than 3x3 with a stride of 1";
  return c.kh == c.kw && (c.kh == 3 || c.kh == 5 || (c.kh == 7 && c.stride[0] == 1)) ? "" : "a kernel that is not 3x3, 5x5 or, with a stride of 1, 7x7";
}

double CostDepthwisePlanes(const Conv& c) {
  // With 16 lanes, half a vector is enough for 8 pixels.
  const int64_t lanes = c.table.lanes, half = std::min(lanes, kBlock);
  const double vecs = static_cast<double>((c.y.w + half - 1) / half * half * c.y.h) / static_cast<double>(lanes);
  return 1.5 * vecs * static_cast<double>(c.y.c * c.kh * c.kw);
}

std::unique_ptr<ConvStep> MakeDepthwisePlanes(const Conv& conv) { return std::make_unique<DepthwisePlanes>(conv); }

}  // namespace xcorr
