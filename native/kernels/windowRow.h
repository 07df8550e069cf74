// Windows that keep channels apart, on one block of 8 channels: depthwise convolution, maximum, average.
//
// kGroup neighbouring output pixels share each loaded weight; the columns where the window hangs over the image's edge are done one
// pixel at a time, with the taps outside left out.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

constexpr int kGroup = 4;

// Taps j of a window at `at` that fall inside the image.
struct TapRange {
  int begin, end;
};
inline TapRange InsideTaps(const WindowRowArgs& args, int64_t at) {
  int begin = 0, end = args.columns;
  while (begin < end && at + begin * args.dilation < args.columnBegin) ++begin;
  while (end > begin && at + (end - 1) * args.dilation >= args.columnEnd) --end;
  return {begin, end};
}

// Calls edge(x) for pixels whose window hangs over a side, middle(x) for kGroup pixels from x on whose windows do not.
template <typename Edge, typename Middle>
inline void ForRow(const WindowRowArgs& args, Edge edge, Middle middle) {
  const int64_t reach = (args.columns - 1) * args.dilation;
  auto inside = [&](int64_t x) {
    return x * args.stride >= args.columnBegin && x * args.stride + reach < args.columnEnd;
  };
  int64_t x = 0;
  while (x < args.pixels) {
    if (x + kGroup <= args.pixels && inside(x) && inside(x + kGroup - 1)) {
      middle(x);
      x += kGroup;
    } else {
      edge(x);
      ++x;
    }
  }
}

inline void FinishDepthwise(const WindowRowArgs& args, Vec8 acc, int64_t x) {
  if (args.residual) acc = Add(acc, Load<Vec8>(args.residual + x * 8));
  Store(Activate(acc, args.activation), args.out + x * 8);
}

void DepthwiseRow(const WindowRowArgs& args) {
  const Vec8 bias = Load<Vec8>(args.bias);
  const float* weights = args.weights + static_cast<ptrdiff_t>(args.firstRow) * args.columns * 8;
  auto edge = [&](int64_t x) {
    Vec8 acc = bias;
    const TapRange taps = InsideTaps(args, x * args.stride);
    for (int i = 0; i < args.rows; ++i) {
      const float* row = args.in + i * args.inRow + x * args.stride * 8;
      for (int j = taps.begin; j < taps.end; ++j) {
        acc = MulAdd(Load<Vec8>(row + j * args.dilation * 8), Load<Vec8>(weights + (i * args.columns + j) * 8), acc);
      }
    }
    FinishDepthwise(args, acc, x);
  };
  auto middle = [&](int64_t x) {
    Vec8 acc[kGroup] = {bias, bias, bias, bias};
    const ptrdiff_t pixel = args.stride * 8, step = args.dilation * 8;
    const float* w = weights;
    for (int i = 0; i < args.rows; ++i) {
      const float* at = args.in + i * args.inRow + x * pixel;
      for (int j = 0; j < args.columns; ++j, at += step, w += 8) {
        const Vec8 weight = Load<Vec8>(w);
        acc[0] = MulAdd(Load<Vec8>(at), weight, acc[0]);
        acc[1] = MulAdd(Load<Vec8>(at + pixel), weight, acc[1]);
        acc[2] = MulAdd(Load<Vec8>(at + 2 * pixel), weight, acc[2]);
        acc[3] = MulAdd(Load<Vec8>(at + 3 * pixel), weight, acc[3]);
      }
    }
    for (int g = 0; g < kGroup; ++g) FinishDepthwise(args, acc[g], x + g);
  };
  ForRow(args, edge, middle);
}

void MaxPoolRow(const WindowRowArgs& args) {
  const Vec8 lowest = Set<Vec8>(-__builtin_inff());
  auto one = [&](int64_t x) {
    Vec8 best = lowest;
    // NaN-ness is gathered apart, since Max forgets a NaN that a number follows: 0 times v clipped to -1 .. 1 is 0, or NaN.
    Vec8 poison = Set<Vec8>(0.0f);
    const TapRange taps = InsideTaps(args, x * args.stride);
    for (int i = 0; i < args.rows; ++i) {
      const float* row = args.in + i * args.inRow + x * args.stride * 8;
      for (int j = taps.begin; j < taps.end; ++j) {
        const Vec8 v = Load<Vec8>(row + j * args.dilation * 8);
        best = Max(best, v);
        poison = MulAdd(Set<Vec8>(0.0f), Min(Set<Vec8>(1.0f), Max(Set<Vec8>(-1.0f), v)), poison);
      }
    }
    Store(Add(best, poison), args.out + x * 8);
  };
  for (int64_t x = 0; x < args.pixels; ++x) one(x);
}

void AvgPoolRow(const WindowRowArgs& args) {
  for (int64_t x = 0; x < args.pixels; ++x) {
    Vec8 sum = Set<Vec8>(0.0f);
    const TapRange taps = InsideTaps(args, x * args.stride);
    for (int i = 0; i < args.rows; ++i) {
      const float* row = args.in + i * args.inRow + x * args.stride * 8;
      for (int j = taps.begin; j < taps.end; ++j) sum = Add(sum, Load<Vec8>(row + j * args.dilation * 8));
    }
    const float count = args.countPadding ? args.divisor : static_cast<float>(args.rows * (taps.end - taps.begin));
    Store(Div(sum, Set<Vec8>(count)), args.out + x * 8);
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
