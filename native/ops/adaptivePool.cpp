// Pools of so many windows: window i of n over a size s goes from floor(i * s / n) to ceil((i + 1) * s / n).
#include "separable.h"

namespace xcorr {
namespace {

AxisTaps WindowsOf(int64_t in, int64_t out) {
  AxisTaps taps;
  for (int64_t i = 0; i < out; ++i, taps.EndPlace()) {
    const int64_t begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
    for (int64_t place = begin; place < end; ++place) taps.Add(place, 1 / static_cast<double>(end - begin));
  }
  return taps;
}

std::unique_ptr<Step> MakeAdaptivePool(const Problem& p, bool maximum) {
  const std::vector<int64_t> &x = p.inputs[0].shape, &y = p.outputs[0].shape;
  return MakeSeparable(p, "rows and columns", WindowsOf(x[2], y[2]), WindowsOf(x[3], y[3]), maximum);
}

}  // namespace

std::unique_ptr<Step> Make_adaptiveAvgPool2d(const Problem& p) { return MakeAdaptivePool(p, false); }
std::unique_ptr<Step> Make_adaptiveMaxPool2d(const Problem& p) { return MakeAdaptivePool(p, true); }

}  // namespace xcorr
