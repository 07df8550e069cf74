// AVX-512 F, BW, CD, DQ, VL: 16 lanes, 32 registers (Skylake-X 2017, Zen 4 2022). A Vec holds two 8-blocks of channels.
#pragma once
#define XCORR_VEC_8 Vec8
#include "avx_8lanes.h"

namespace xcorr::XCORR_ISA {
namespace {

constexpr int kLanes = 16;
struct Vec {
  __m512 v;
};

template <>
inline Vec Load<Vec>(const float* p) { return {_mm512_loadu_ps(p)}; }
template <>
inline Vec Set<Vec>(float x) { return {_mm512_set1_ps(x)}; }
#if defined(__GNUC__)
inline Vec Kept(Vec a) {
  asm("" : "+v"(a.v));
  return a;
}
#else
inline Vec Kept(Vec a) { return a; }
#endif
inline void Store(Vec a, float* p) { _mm512_storeu_ps(p, a.v); }
inline Vec Add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec Sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec Mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec Div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec Max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec MaxOrNaN(Vec a, Vec b) {
  return {_mm512_mask_mov_ps(_mm512_max_ps(a.v, b.v), _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), a.v)};
}
inline Vec MinOrNaN(Vec a, Vec b) {
  return {_mm512_mask_mov_ps(_mm512_min_ps(a.v, b.v), _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), a.v)};
}
inline Vec IfNegative(Vec x, Vec a, Vec b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_LT_OQ), b.v, a.v)};
}
inline Vec Sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
inline Vec Round(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline Vec Scale(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
inline Vec ScaleNormal(Vec a, Vec n) { return Scale(a, n); }
inline Vec Permute(Vec a, const int32_t* places) { return {_mm512_permutexvar_ps(_mm512_loadu_si512(places), a.v)}; }
inline Vec LoadFirst(const float* p, int64_t count, Vec otherwise) { return {_mm512_mask_loadu_ps(otherwise.v, static_cast<__mmask16>((1u << count) - 1), p)}; }
inline void StoreFirst(Vec a, float* p, int64_t count) { _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), a.v); }
template <>
struct Mask<Vec> {
  __mmask16 v;
};
template <>
inline Mask<Vec> MakeMask<Vec>(int64_t begin, int64_t end) { return {static_cast<__mmask16>(BitsOfLanes(16, begin, end))}; }
inline Vec LoadMasked(const float* p, Mask<Vec> mask) { return {_mm512_maskz_loadu_ps(mask.v, p)}; }
template <int n>
inline Vec Shift(Vec a, Vec b) { return {_mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(b.v), _mm512_castps_si512(a.v), n))}; }
inline void Deinterleave(Vec a, Vec b, Vec& even, Vec& odd) {
  const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even.v = _mm512_permutex2var_ps(a.v, evens, b.v);
  odd.v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(evens, _mm512_set1_epi32(1)), b.v);
}
// The lanes' order is that of avx_8lanes.h.
inline void Split(Vec a, Vec b, Vec& even, Vec& odd) {
  even.v = _mm512_shuffle_ps(a.v, b.v, 0x88);
  odd.v = _mm512_shuffle_ps(a.v, b.v, 0xdd);
}
inline Vec Ordered(Vec a) { return {_mm512_castpd_ps(_mm512_permutexvar_pd(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_castps_pd(a.v)))}; }
template <int n>
inline Vec MoveSplit(Vec a) {
  static constexpr SplitPlaces<16, n> kPlaces;
  return Permute(a, kPlaces.places);
}
// The two 8-blocks that a Vec holds.
inline Vec8 LowHalf(Vec a) { return {_mm512_castps512_ps256(a.v)}; }
inline Vec8 HighHalf(Vec a) { return {_mm512_extractf32x8_ps(a.v, 1)}; }
// Zeros in the upper half meanwhile: with a cast, which leaves it open, GCC 12 keeps low in one of the first 16 registers and spills others.
inline Vec Combine(Vec8 low, Vec8 high) { return {_mm512_insertf32x8(_mm512_zextps256_ps512(low.v), high.v, 1)}; }

}  // namespace
}  // namespace xcorr::XCORR_ISA
