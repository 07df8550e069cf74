// SSE2, 4 lanes: every x86-64 has it. No fused multiply-add, so MulAdd rounds twice.
#pragma once
#include <emmintrin.h>

namespace xcorr::XCORR_ISA {
namespace {

constexpr int kLanes = 4;
struct Vec {
  __m128 v;
};

template <typename V>
V Load(const float* p);
template <typename V>
V Set(float x);

template <>
inline Vec Load<Vec>(const float* p) { return {_mm_loadu_ps(p)}; }
template <>
inline Vec Set<Vec>(float x) { return {_mm_set1_ps(x)}; }
inline void Store(Vec a, float* p) { _mm_storeu_ps(p, a.v); }
inline Vec Add(Vec a, Vec b) { return {_mm_add_ps(a.v, b.v)}; }
inline Vec Sub(Vec a, Vec b) { return {_mm_sub_ps(a.v, b.v)}; }
inline Vec Mul(Vec a, Vec b) { return {_mm_mul_ps(a.v, b.v)}; }
inline Vec Div(Vec a, Vec b) { return {_mm_div_ps(a.v, b.v)}; }
inline Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm_add_ps(_mm_mul_ps(a.v, b.v), c.v)}; }
inline Vec Max(Vec a, Vec b) { return {_mm_max_ps(a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm_min_ps(a.v, b.v)}; }
inline Vec MaxOrNaN(Vec a, Vec b) {
  const __m128 nan = _mm_cmpunord_ps(a.v, a.v);
  return {_mm_or_ps(_mm_and_ps(nan, a.v), _mm_andnot_ps(nan, _mm_max_ps(a.v, b.v)))};
}
inline Vec MinOrNaN(Vec a, Vec b) {
  const __m128 nan = _mm_cmpunord_ps(a.v, a.v);
  return {_mm_or_ps(_mm_and_ps(nan, a.v), _mm_andnot_ps(nan, _mm_min_ps(a.v, b.v)))};
}
inline Vec IfNegative(Vec x, Vec a, Vec b) {
  const __m128 m = _mm_cmplt_ps(x.v, _mm_setzero_ps());
  return {_mm_or_ps(_mm_and_ps(m, a.v), _mm_andnot_ps(m, b.v))};
}
inline Vec Sqrt(Vec a) { return {_mm_sqrt_ps(a.v)}; }
inline Vec Round(Vec a) { return {_mm_cvtepi32_ps(_mm_cvtps_epi32(a.v))}; }
// In two steps: 2^n alone may lie beyond the floats.
inline Vec Scale(Vec a, Vec n) {
  const __m128i whole = _mm_cvtps_epi32(n.v), half = _mm_srai_epi32(whole, 1), bias = _mm_set1_epi32(127);
  const __m128 first = _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(half, bias), 23));
  const __m128 second = _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_sub_epi32(whole, half), bias), 23));
  return {_mm_mul_ps(_mm_mul_ps(a.v, first), second)};
}
inline Vec ScaleNormal(Vec a, Vec n) { return {_mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(a.v), _mm_slli_epi32(_mm_cvtps_epi32(n.v), 23)))}; }

template <int n>
inline Vec Shift(Vec a, Vec b) {
  return {_mm_castsi128_ps(_mm_or_si128(_mm_srli_si128(_mm_castps_si128(a.v), n * 4), _mm_slli_si128(_mm_castps_si128(b.v), 16 - n * 4)))};
}
inline void Deinterleave(Vec a, Vec b, Vec& even, Vec& odd) {
  even.v = _mm_shuffle_ps(a.v, b.v, 0x88);
  odd.v = _mm_shuffle_ps(a.v, b.v, 0xdd);
}
inline void Split(Vec a, Vec b, Vec& even, Vec& odd) { Deinterleave(a, b, even, odd); }
inline Vec Ordered(Vec a) { return a; }
template <int n>
inline Vec MoveSplit(Vec a) { return Shift<n>(a, a); }

inline void Transpose(Vec& a, Vec& b, Vec& c, Vec& d) { _MM_TRANSPOSE4_PS(a.v, b.v, c.v, d.v); }

}  // namespace
}  // namespace xcorr::XCORR_ISA

#include "vec8_array.h"
