// Sums whose order depends on their length alone, and maxima.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "op.h"

namespace xcorr {

// The sum of f(i) for i in 0 .. count - 1, in double: in 8 strands, which need not wait for each other.
template <typename F>
double SumOf(int64_t count, const F& f) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t k = 0; k < 8; ++k) sums[k] += f(i + k);
  }
  for (int64_t k = 0; i + k < count; ++k) sums[k] += f(i + k);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

// Over the pixels of a plane, of a block's 8 lanes or of one plain channel: the sums of its numbers or, about the means that are given, of the squares.
inline void PlaneSums(const KernelTable& table, const float* x, int64_t pixels, bool blocked, const float* means, double* sums) {
  if (blocked) {
    table.SumPixels({x, sums, pixels, means});
    return;
  }
  float mean[kBlock];
  std::fill_n(mean, kBlock, means ? *means : 0.0f);
  double lanes[kBlock];
  table.SumPixels({x, lanes, pixels / kBlock, means ? mean : nullptr});
  double sum = 0;
  for (double lane : lanes) sum += lane;
  for (int64_t i = pixels / kBlock * kBlock; i < pixels; ++i) {
    const double difference = static_cast<double>(x[i]) - mean[0];
    sum += means ? difference * difference : difference;
  }
  *sums = sum;
}

// The largest numbers of a block's 8 lanes or of one plain channel; NaN wins.
inline void PlaneMaxima(const KernelTable& table, const float* x, int64_t pixels, bool blocked, float* most) {
  if (blocked) {
    table.MaxPixels({x, most, pixels});
    return;
  }
  float lanes[kBlock];
  table.MaxPixels({x, lanes, pixels / kBlock});
  const auto larger = [](float a, float b) { return a > b || std::isnan(a) ? a : b; };
  *most = std::accumulate(x + pixels / kBlock * kBlock, x + pixels, std::accumulate(lanes, lanes + kBlock, -INFINITY, larger), larger);
}

}  // namespace xcorr
