// Sums in double, in an order that their length alone decides.
#pragma once
#include <cstdint>

namespace xcorr {

// The sum of f(i) for i in 0 .. count - 1: in 8 strands, which need not wait for each other.
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

}  // namespace xcorr
