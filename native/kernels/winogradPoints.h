// The points of Winograd's minimal filtering of n inputs: 0, the pairs +-p, and infinity. They decide the rounding error; these are exact in float. Of n = 6,
// +-5/8 and +-3/2 make half the error of the usual +-1 and +-2.
//
// Part of args.h: kernels and what packs their weights agree on them. Compiled into every instruction set, so all of it is constexpr and internal.
#pragma once

namespace xcorr {
namespace {

constexpr int WinogradPairs(int n) { return (n - 2) / 2; }

constexpr double WinogradPoint(int n, int pair) {
  constexpr double four[] = {1, 0, 0}, six[] = {0.625, 1.5, 0}, eight[] = {0.5, 1, 2};
  return n == 4 ? four[pair] : n == 6 ? six[pair] : eight[pair];
}

}  // namespace
}  // namespace xcorr
