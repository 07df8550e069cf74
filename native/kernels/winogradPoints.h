// The points of Winograd's minimal filtering of n inputs: pairs +-p, 0 if n is even, and infinity. They decide the rounding error; these are exact in
// float. Of n = 6, +-5/8 and +-3/2 make half the error of the usual +-1 and +-2; of odd n, pairs alone make two thirds of that of 0 with a point on one side.
//
// Errors (root of the mean square, against float64) over those of direct sums, for inputs of one sign and of both: 3x3 of stride 2 with n = 3 0.8 and 0.8, with
// n = 5 1.3 and 2.0; a stem of 7x7 (n = 7, 3 channels) 2.1 and 3.6, as much as direct sums of 3x3 over 256 channels make; 3x3 (n = 6) 1.2 and 1.9.
//
// Part of args.h: kernels and what packs their weights agree on them. Compiled into every instruction set, so all of it is constexpr and internal.
#pragma once

namespace xcorr {
namespace {

constexpr int WinogradPairs(int n) { return (n - 1) / 2; }
constexpr bool WinogradHasZero(int n) { return n % 2 == 0; }

constexpr double WinogradPoint(int n, int pair) {
  constexpr double points[][3] = {{1, 0, 0}, {1, 0, 0}, {0.5, 1.5, 0}, {0.625, 1.5, 0}, {0.3125, 0.875, 1.75}, {0.5, 1, 2}};
  return n < 3 ? 0 : points[n - 3][pair];
}

}  // namespace
}  // namespace xcorr
