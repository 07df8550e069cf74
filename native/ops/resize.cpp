// resize: nearest and linear over the rows and columns of an image, in either layout. The input places and weights of every output row
// and column are worked out once, when the step is made.
#include <algorithm>
#include <cmath>

#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

// An output place is a mean of two input places; for nearest the two are the same.
struct Taps {
  std::vector<int64_t> first, second;
  std::vector<float> weight;  // of the second
};

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

Taps TapsOf(const Problem& p, bool linear, int64_t in, int64_t out, double scale) {
  Taps taps;
  auto inside = [in](double x) { return std::min<int64_t>(std::max<int64_t>(static_cast<int64_t>(x), 0), in - 1); };
  for (int64_t o = 0; o < out; ++o) {
    const double at = Coordinate(p.attributes.Text("coordinates"), static_cast<double>(o), static_cast<double>(in), static_cast<double>(out), scale);
    const double low = linear ? std::floor(at) : Nearest(p.attributes.Text("nearest"), at);
    taps.first.push_back(inside(low));
    taps.second.push_back(linear ? inside(low + 1) : taps.first.back());
    taps.weight.push_back(linear ? static_cast<float>(at - low) : 0.0f);
  }
  return taps;
}

}  // namespace

std::unique_ptr<Step> Make_resize(const Problem& p) {
  RequireFloat32(p);
  const std::string mode = p.attributes.Text("mode");
  if (mode == "cubic") throw Declined("cubic");
  if (p.attributes.Flag("antialias") || p.attributes.Flag("excludeOutside")) throw Declined("antialiasing or excluded taps");
  const TensorDesc &xd = p.inputs[0], &yd = p.outputs[0];
  if (xd.shape.size() != 4 || xd.layout != yd.layout || xd.shape[0] != yd.shape[0] || xd.shape[1] != yd.shape[1]) throw Declined("not over rows and columns only");
  const Image x(xd), y(yd);
  if (x.plane() == 0 || y.plane() == 0) throw Declined("an empty image");
  // Not Ints: scales are fractions.
  const std::vector<double> scales = p.attributes.Numbers("scales");
  const bool linear = mode == "linear";
  const Taps rows = TapsOf(p, linear, x.h, y.h, scales[2]), columns = TapsOf(p, linear, x.w, y.w, scales[3]);
  const int64_t unit = x.blocked ? kBlock : 1, planes = x.n * (x.blocked ? x.blocks : x.c);
  return MakeFunction(linear ? "linear" : "nearest", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(planes, [&](int64_t plane, int) {
      const float* from = In(inputs, 0) + plane * x.plane() * unit;
      float* to = Out(outputs) + plane * y.plane() * unit;
      for (int64_t oy = 0; oy < y.h; ++oy) {
        const float *top = from + rows.first[oy] * x.w * unit, *bottom = from + rows.second[oy] * x.w * unit;
        const float v = rows.weight[oy];
        for (int64_t ox = 0; ox < y.w; ++ox, to += unit) {
          const int64_t left = columns.first[ox] * unit, right = columns.second[ox] * unit;
          const float u = columns.weight[ox];
          for (int64_t l = 0; l < unit; ++l) {
            if (!linear) {
              to[l] = top[left + l];
              continue;
            }
            const float above = (1 - u) * top[left + l] + u * top[right + l];
            const float below = (1 - u) * bottom[left + l] + u * bottom[right + l];
            to[l] = (1 - v) * above + v * below;
          }
        }
      }
    });
  });
}

}  // namespace xcorr
