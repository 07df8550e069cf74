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

// The windows of every row and column of the result: the same for all planes.
struct Windows {
  explicit Windows(const PoolGradient& p) {
    for (int64_t y = 0; y < p.dy.h; ++y) rows.push_back(TapsAt(p, 0, y, p.dx.h));
    for (int64_t x = 0; x < p.dy.w; ++x) columns.push_back(TapsAt(p, 1, x, p.dx.w));
  }
  std::vector<Taps> rows, columns;
};

// Calls visit(row taps, column taps, output element) for every window of a plane.
template <typename F>
void ForWindows(const Windows& windows, F visit) {
  int64_t o = 0;
  for (const Taps& rows : windows.rows) {
    for (const Taps& columns : windows.columns) visit(rows, columns, o++);
  }
}

void MaxPlane(const PoolGradient& p, const Windows& windows, const float* x, const float* dy, float* dx) {
  ForWindows(windows, [&](const Taps& rows, const Taps& columns, int64_t o) {
    int64_t best = -1;
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      for (int64_t j = columns.begin; j < columns.end; ++j) {
        const int64_t at = (rows.start + i * p.dilation[0]) * p.dx.w + columns.start + j * p.dilation[1];
        // Written so that a NaN wins, and stays.
        if (best < 0 || (!(x[at] <= x[best]) && !std::isnan(x[best]))) best = at;
      }
    }
    if (best >= 0) dx[best] += dy[o];
  });
}

void AvgPlane(const PoolGradient& p, const Windows& windows, const float* dy, float* dx) {
  ForWindows(windows, [&](const Taps& rows, const Taps& columns, int64_t o) {
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
  const Windows windows(p);
  return MakeFunction("planes", [p, windows](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(p.dx.n * p.dx.c, [&](int64_t plane, int) {
      float* dx = Out(outputs) + plane * p.dx.plane();
      std::fill(dx, dx + p.dx.plane(), 0.0f);
      if (kMax) MaxPlane(p, windows, In(inputs, 0) + plane * p.dx.plane(), In(inputs, 1) + plane * p.dy.plane(), dx);
      else AvgPlane(p, windows, In(inputs, 0) + plane * p.dy.plane(), dx);
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_maxPool2dGradient(const Problem& p) { return MakePoolGradient<true>(p); }
std::unique_ptr<Step> Make_avgPool2dGradient(const Problem& p) { return MakePoolGradient<false>(p); }

}  // namespace xcorr
