// maxPool2dGradient and avgPool2dGradient: the gradient of each window goes to the element that won, or in equal parts to all. A plane is one task.
#include <algorithm>
#include <cmath>

#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

struct PoolGradient {
  explicit PoolGradient(const Problem& p)
      : dx(p.outputs[0]), dy(p.inputs.back()), kernel(p.attributes.Ints("kernel")), stride(p.attributes.Ints("stride")),
        padding(p.attributes.Ints("padding")), dilation(p.attributes.Ints("dilation")), countPadding(p.attributes.Flag("countIncludePad")),
        divisorOverride(p.attributes.Int("divisorOverride", 0)) {}
  Image dx, dy;
  std::vector<int64_t> kernel, stride, padding, dilation;
  bool countPadding;
  int64_t divisorOverride;
};

// Taps of one axis inside the image, and how many lie before the end of its padding (ceil mode may reach further).
struct Taps {
  int64_t start, begin, end, counted;
};
Taps TapsAt(const PoolGradient& p, size_t axis, int64_t at, int64_t size) {
  Taps t = {at * p.stride[axis] - p.padding[axis], 0, p.kernel[axis], 0};
  const int64_t d = p.dilation[axis];
  while (t.begin < t.end && t.start + t.begin * d < 0) ++t.begin;
  while (t.end > t.begin && t.start + (t.end - 1) * d >= size) --t.end;
  for (int64_t k = 0; k < p.kernel[axis]; ++k) t.counted += t.start + k * d < size + p.padding[axis + 2];
  return t;
}

// Calls visit(row taps, column taps, output element) for every window of a plane.
template <typename F>
void ForWindows(const PoolGradient& p, F visit) {
  for (int64_t y = 0; y < p.dy.h; ++y) {
    const Taps rows = TapsAt(p, 0, y, p.dx.h);
    for (int64_t x = 0; x < p.dy.w; ++x) visit(rows, TapsAt(p, 1, x, p.dx.w), y * p.dy.w + x);
  }
}

void MaxPlane(const PoolGradient& p, const float* x, const float* dy, float* dx) {
  ForWindows(p, [&](const Taps& rows, const Taps& columns, int64_t o) {
    int64_t best = -1;
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      for (int64_t j = columns.begin; j < columns.end; ++j) {
        const int64_t at = (rows.start + i * p.dilation[0]) * p.dx.w + columns.start + j * p.dilation[1];
        if (best >= 0 && std::isnan(x[best])) continue;
        if (best < 0 || x[at] > x[best] || std::isnan(x[at])) best = at;
      }
    }
    if (best >= 0) dx[best] += dy[o];
  });
}

void AvgPlane(const PoolGradient& p, const float* dy, float* dx) {
  ForWindows(p, [&](const Taps& rows, const Taps& columns, int64_t o) {
    const int64_t inside = (rows.end - rows.begin) * (columns.end - columns.begin);
    const int64_t counted = p.divisorOverride ? p.divisorOverride : p.countPadding ? rows.counted * columns.counted : inside;
    const float share = dy[o] / static_cast<float>(counted);
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      float* line = dx + (rows.start + i * p.dilation[0]) * p.dx.w + columns.start;
      for (int64_t j = columns.begin; j < columns.end; ++j) line[j * p.dilation[1]] += share;
    }
  });
}

template <bool kMax>
std::unique_ptr<Step> MakePoolGradient(const Problem& problem) {
  RequireFloat32(problem);
  RequirePlain(problem);
  const PoolGradient p(problem);
  return MakeFunction("planes", [p](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(p.dx.n * p.dx.c, [&](int64_t plane, int) {
      float* dx = Out(outputs) + plane * p.dx.plane();
      std::fill(dx, dx + p.dx.plane(), 0.0f);
      if (kMax) MaxPlane(p, In(inputs, 0) + plane * p.dx.plane(), In(inputs, 1) + plane * p.dy.plane(), dx);
      else AvgPlane(p, In(inputs, 0) + plane * p.dy.plane(), dx);
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_maxPool2dGradient(const Problem& p) { return MakePoolGradient<true>(p); }
std::unique_ptr<Step> Make_avgPool2dGradient(const Problem& p) { return MakePoolGradient<false>(p); }

}  // namespace xcorr
