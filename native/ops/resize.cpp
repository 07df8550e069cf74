// resize over the rows and columns of an image, in either layout: nearest, linear, cubic. The input places and weights of every output row and column are worked
// out once, when the step is made.
#include <algorithm>
#include <cmath>

#include "separable.h"

namespace xcorr {
namespace {

double Coordinate(const std::string& mode, double o, double in, double out, double scale) {
  if (mode == "half_pixel") return (o + 0.5) / scale - 0.5;
  if (mode == "half_pixel_symmetric") return in / 2 * (1 - out / (in * scale)) + (o + 0.5) / scale - 0.5;
  if (mode == "pytorch_half_pixel") return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
  if (mode == "align_corners") return out > 1 ? o * (in - 1) / (scale * in - 1) : 0;
  if (mode == "asymmetric") return o / scale;
  throw Declined("coordinates \"" + mode + "\"");
}

double Nearest(const std::string& rule, double x) {
  if (rule == "floor") return std::floor(x);
  if (rule == "ceil") return std::ceil(x);
  return rule == "round_prefer_ceil" ? std::floor(x + 0.5) : std::ceil(x - 0.5);
}

// Keys' cubic convolution kernel.
double Cubic(double distance, double a) {
  const double x = std::fabs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

AxisTaps TapsOf(const Problem& p, int64_t in, int64_t out, double scale) {
  const Attributes& attributes = p.attributes;
  const std::string mode = attributes.Text("mode");
  const bool linear = mode == "linear", antialias = attributes.Flag("antialias"), excludes = attributes.Flag("excludeOutside");
  const double a = attributes.Number("cubicA", -0.75);
  const auto inside = [in](double x) { return std::min<int64_t>(std::max<int64_t>(static_cast<int64_t>(x), 0), in - 1); };
  if (!(scale > 0) || !std::isfinite(scale)) throw Declined("a scale that is no positive number");
  // An axis that stays as it is meets no weights: zero times infinity would be NaN.
  const bool same = in == out && scale == 1;
  AxisTaps taps;
  for (int64_t o = 0; o < out; ++o, taps.EndPlace()) {
    if (same) {
      taps.Add(o, 1);
      continue;
    }
    const double at = Coordinate(attributes.Text("coordinates"), static_cast<double>(o), static_cast<double>(in), static_cast<double>(out), scale);
    if (mode == "nearest") {
      taps.Add(inside(Nearest(attributes.Text("nearest"), at)), 1);
      continue;
    }
    // Antialiasing widens the kernel to cover all the input pixels that a shrunken pixel stands for.
    const double shrink = antialias ? std::min(scale, 1.0) : 1, reach = (linear ? 1 : 2) / shrink, first = std::floor(at - reach) + 1, last = std::floor(at + reach);
    const auto weightOf = [&](double place) {
      if (excludes && (place < 0 || place >= static_cast<double>(in))) return 0.0;
      const double distance = (place - at) * shrink;
      return linear ? std::max(0.0, 1 - std::fabs(distance)) : Cubic(distance, a);
    };
    double total = 0;
    for (double place = first; place <= last; ++place) total += weightOf(place);
    for (double place = first; place <= last; ++place) taps.Add(inside(place), weightOf(place) / (excludes || antialias ? total : 1));
  }
  return taps;
}

}  // namespace

std::unique_ptr<Step> Make_resize(const Problem& p) {
  const std::vector<int64_t> &x = p.inputs[0].shape, &y = p.outputs[0].shape;
  const size_t rank = x.size();
  // Not Ints: scales are fractions.
  const std::vector<double> scales = p.attributes.Numbers("scales");
  if (rank < 2) throw Declined("not over rows and columns");
  for (size_t axis = 0; axis + 2 < rank; ++axis) {
    if (x[axis] != y[axis] || scales[axis] != 1) throw Declined("not over rows and columns only");
  }
  const std::string mode = p.attributes.Text("mode");
  const char* algorithm = mode == "nearest" ? "nearest" : mode == "linear" ? "linear" : "cubic";
  return MakeSeparable(p, algorithm, TapsOf(p, x[rank - 2], y[rank - 2], scales[rank - 2]), TapsOf(p, x[rank - 1], y[rank - 1], scales[rank - 1]), false);
}

}  // namespace xcorr
