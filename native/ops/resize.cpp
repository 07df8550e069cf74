// resize: nearest and linear over the rows and columns of an image, in either layout. The input places and weights of every output row
// and column are worked out once, when the step is made. An input row is brought to the output's width once for all the output rows that it is in.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "epilogue.h"
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

// An input row at the output's width. kUnit: numbers of a pixel.
template <int64_t kUnit>
void Widen(const Taps& columns, bool linear, const float* in, float* out) {
  const size_t width = columns.first.size();
  for (size_t x = 0; x < width; ++x, out += kUnit) {
    const float *left = in + columns.first[x] * kUnit, *right = in + columns.second[x] * kUnit;
    if (!linear) {
      std::memcpy(out, left, kUnit * sizeof(float));
      continue;
    }
    const float u = columns.weight[x];
    for (int64_t l = 0; l < kUnit; ++l) out[l] = (1 - u) * left[l] + u * right[l];
  }
}

// The rows that were widened last. Neighbouring output rows are made of the same two.
class WideRows {
 public:
  WideRows(const Taps& columns, bool linear, bool blocked, const float* in, int64_t inRow, float* buffers, int64_t outRow)
      : columns_(columns), linear_(linear), blocked_(blocked), in_(in), inRow_(inRow), rows_{buffers, buffers + outRow} {}

  const float* Row(int64_t y) {
    const int64_t slot = y % 2;  // the two that meet are neighbours
    if (held_[slot] != y) {
      if (blocked_) Widen<kBlock>(columns_, linear_, in_ + y * inRow_, rows_[slot]);
      else Widen<1>(columns_, linear_, in_ + y * inRow_, rows_[slot]);
      held_[slot] = y;
    }
    return rows_[slot];
  }

 private:
  const Taps& columns_;
  bool linear_, blocked_;
  const float* in_;
  int64_t inRow_;
  float* rows_[2];
  int64_t held_[2] = {-1, -1};
};

}  // namespace

std::unique_ptr<Step> Make_resize(const Problem& p) {
  RequireFloat32(p);
  const std::string mode = p.attributes.Text("mode");
  if (mode == "cubic") throw Declined("cubic");
  if (p.attributes.Flag("antialias") || p.attributes.Flag("excludeOutside")) throw Declined("antialiasing or excluded taps");
  const TensorDesc &xd = p.inputs[0], &yd = p.outputs[0];
  const bool hasResidual = p.attributes.Flag("residual");
  if (hasResidual && p.inputs[1].layout != yd.layout) throw Declined("a residual in another layout");
  if (xd.shape.size() != 4 || xd.layout != yd.layout || xd.shape[0] != yd.shape[0] || xd.shape[1] != yd.shape[1]) throw Declined("not over rows and columns only");
  const Image x(xd), y(yd);
  if (x.plane() == 0 || y.plane() == 0) throw Declined("an empty image");
  // Not Ints: scales are fractions.
  const std::vector<double> scales = p.attributes.Numbers("scales");
  const bool linear = mode == "linear";
  const Taps rows = TapsOf(p, linear, x.h, y.h, scales[2]), columns = TapsOf(p, linear, x.w, y.w, scales[3]);
  const int64_t unit = x.blocked ? kBlock : 1, planes = x.n * (x.blocked ? x.blocks : x.c);
  const int64_t row = y.w * unit, perTask = std::max<int64_t>(1, kGrain / row), runs = (y.h + perTask - 1) / perTask;
  const Epilogue epilogue(p.attributes);
  const bool clears = x.blocked && !epilogue.zeroStaysZero;
  const KernelTable* table = p.kernels;
  return MakeFunction(linear ? "linear" : "nearest", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(planes * runs, [&](int64_t task, int) {
      const int64_t plane = task / runs, first = task % runs * perTask;
      float* buffers = ThreadScratch(static_cast<size_t>(3 * row));
      float* mixed = buffers + 2 * row;
      WideRows wide(columns, linear, x.blocked, In(inputs, 0) + plane * x.plane() * unit, x.w * unit, buffers, row);
      for (int64_t oy = first; oy < std::min(y.h, first + perTask); ++oy) {
        const float* result = wide.Row(rows.first[oy]);
        if (linear) {
          const float *below = wide.Row(rows.second[oy]), v = rows.weight[oy];
          for (int64_t i = 0; i < row; ++i) mixed[i] = (1 - v) * result[i] + v * below[i];
          result = mixed;
        }
        const int64_t at = (plane * y.h + oy) * row;
        float* to = Out(outputs) + at;
        if (hasResidual) table->BinaryRun({result, In(inputs, 1) + at, to, row, Operand::kFull, Operand::kFull, BinaryKind::kAdd, epilogue.fused});
        else table->UnaryRun({result, to, row, UnaryKind::kActivation, epilogue.fused});
        epilogue.ApplyRest(to, row);
      }
    });
    if (clears) ClearPaddingLanes(y, Out(outputs));
  });
}

}  // namespace xcorr
