// What the tests of kernels share: numbers, and how a wrong one is told. Numbers are small integers, so float sums are exact and every kernel must agree to the bit.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "../runtime/cpu.h"

namespace {

using xcorr::KernelTable;

int failures = 0;
constexpr float kGuard = 12345.0f;

uint32_t state = 1;
float Next() {  // -4 .. 4
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(static_cast<int>(state >> 16) % 9 - 4);
}
std::vector<float> Fill(size_t n) {
  std::vector<float> v(n);
  for (float& x : v) x = Next();
  return v;
}

void Expect(float got, double expected, const KernelTable& table, const char* what) {
  if (static_cast<double>(got) == expected) return;
  if (++failures < 20) std::printf("%s %s: got %g, expected %g\n", table.name, what, static_cast<double>(got), expected);
}

}  // namespace
