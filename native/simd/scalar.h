// One lane of plain C++: runs anywhere, and tells a fault of an algorithm from a fault of an intrinsic.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

constexpr int kLanes = 1;
struct Vec {
  float v;
};

template <typename V>
V Load(const float* p);
template <typename V>
V Set(float x);

template <>
inline Vec Load<Vec>(const float* p) { return {*p}; }
template <>
inline Vec Set<Vec>(float x) { return {x}; }
inline void Store(Vec a, float* p) { *p = a.v; }
inline Vec Add(Vec a, Vec b) { return {a.v + b.v}; }
inline Vec Sub(Vec a, Vec b) { return {a.v - b.v}; }
inline Vec Mul(Vec a, Vec b) { return {a.v * b.v}; }
inline Vec Div(Vec a, Vec b) { return {a.v / b.v}; }
inline Vec MulAdd(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
inline Vec Max(Vec a, Vec b) { return {a.v > b.v ? a.v : b.v}; }
inline Vec Min(Vec a, Vec b) { return {a.v < b.v ? a.v : b.v}; }
inline Vec MaxOrNaN(Vec a, Vec b) { return {a.v > b.v || a.v != a.v ? a.v : b.v}; }
inline Vec MinOrNaN(Vec a, Vec b) { return {a.v < b.v || a.v != a.v ? a.v : b.v}; }
inline Vec IfNegative(Vec x, Vec a, Vec b) { return x.v < 0.0f ? a : b; }
inline Vec Sqrt(Vec a) { return {__builtin_sqrtf(a.v)}; }
// Adding and taking off 1.5 * 2^23 leaves the nearest integer, ties to even, for |v| < 2^22.
inline Vec Round(Vec a) {
  const volatile float shifted = a.v + 12582912.0f;
  return {shifted - 12582912.0f};
}
// In two steps: 2^n alone may lie beyond the floats.
inline Vec Scale(Vec a, Vec n) {
  union {
    int32_t i;
    float f;
  } first, second;
  if (n.v != n.v) return n;
  const int32_t whole = static_cast<int32_t>(n.v), half = whole >> 1;
  first.i = (half + 127) << 23;
  second.i = (whole - half + 127) << 23;
  return {a.v * first.f * second.f};
}
inline Vec ScaleNormal(Vec a, Vec n) { return Scale(a, n); }

template <int n>
inline Vec Shift(Vec a, Vec b) { return n == 0 ? a : b; }
inline void Deinterleave(Vec a, Vec b, Vec& even, Vec& odd) {
  even = a;
  odd = b;
}
inline void Split(Vec a, Vec b, Vec& even, Vec& odd) { Deinterleave(a, b, even, odd); }
inline Vec Ordered(Vec a) { return a; }
template <int n>
inline Vec MoveSplit(Vec a) { return Shift<n>(a, a); }

inline void Transpose(Vec&, Vec&, Vec&, Vec&) {}  // only vectors of four lanes have something to do

}  // namespace
}  // namespace xcorr::XCORR_ISA

#include "vec8_array.h"
