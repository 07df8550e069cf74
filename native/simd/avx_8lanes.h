// 8 lanes of AVX2 with FMA: all of the avx2 ISA, and the Vec8 of the avx512 one. Defines XCORR_VEC_8 and its operations.
#pragma once
#include <immintrin.h>

namespace xcorr::XCORR_ISA {
namespace {

struct XCORR_VEC_8 {
  __m256 v;
};

template <typename V>
V Load(const float* p);
template <typename V>
V Set(float x);

template <>
inline XCORR_VEC_8 Load<XCORR_VEC_8>(const float* p) { return {_mm256_loadu_ps(p)}; }
template <>
inline XCORR_VEC_8 Set<XCORR_VEC_8>(float x) { return {_mm256_set1_ps(x)}; }
#if defined(__GNUC__)
inline XCORR_VEC_8 Kept(XCORR_VEC_8 a) {
  asm("" : "+x"(a.v));
  return a;
}
#else
inline XCORR_VEC_8 Kept(XCORR_VEC_8 a) { return a; }
#endif
inline void Store(XCORR_VEC_8 a, float* p) { _mm256_storeu_ps(p, a.v); }
inline XCORR_VEC_8 Add(XCORR_VEC_8 a, XCORR_VEC_8 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline XCORR_VEC_8 Sub(XCORR_VEC_8 a, XCORR_VEC_8 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline XCORR_VEC_8 Mul(XCORR_VEC_8 a, XCORR_VEC_8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline XCORR_VEC_8 Div(XCORR_VEC_8 a, XCORR_VEC_8 b) { return {_mm256_div_ps(a.v, b.v)}; }
inline XCORR_VEC_8 MulAdd(XCORR_VEC_8 a, XCORR_VEC_8 b, XCORR_VEC_8 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline XCORR_VEC_8 Max(XCORR_VEC_8 a, XCORR_VEC_8 b) { return {_mm256_max_ps(a.v, b.v)}; }
inline XCORR_VEC_8 Min(XCORR_VEC_8 a, XCORR_VEC_8 b) { return {_mm256_min_ps(a.v, b.v)}; }
inline XCORR_VEC_8 MaxOrNaN(XCORR_VEC_8 a, XCORR_VEC_8 b) {
  return {_mm256_blendv_ps(_mm256_max_ps(a.v, b.v), a.v, _mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q))};
}
inline XCORR_VEC_8 MinOrNaN(XCORR_VEC_8 a, XCORR_VEC_8 b) {
  return {_mm256_blendv_ps(_mm256_min_ps(a.v, b.v), a.v, _mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q))};
}
inline XCORR_VEC_8 IfNegative(XCORR_VEC_8 x, XCORR_VEC_8 a, XCORR_VEC_8 b) {
  return {_mm256_blendv_ps(b.v, a.v, _mm256_cmp_ps(x.v, _mm256_setzero_ps(), _CMP_LT_OQ))};
}
inline XCORR_VEC_8 Sqrt(XCORR_VEC_8 a) { return {_mm256_sqrt_ps(a.v)}; }
inline XCORR_VEC_8 Round(XCORR_VEC_8 a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline XCORR_VEC_8 Scale(XCORR_VEC_8 a, XCORR_VEC_8 n) {
#if defined(__AVX512VL__)
  return {_mm256_scalef_ps(a.v, n.v)};
#else
  // In two steps: 2^n alone may lie beyond the floats.
  const __m256i whole = _mm256_cvtps_epi32(n.v), half = _mm256_srai_epi32(whole, 1), bias = _mm256_set1_epi32(127);
  const __m256 first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const __m256 second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23));
  return {_mm256_mul_ps(_mm256_mul_ps(a.v, first), second)};
#endif
}
inline XCORR_VEC_8 ScaleNormal(XCORR_VEC_8 a, XCORR_VEC_8 n) {
#if defined(__AVX512VL__)
  return Scale(a, n);
#else
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), _mm256_slli_epi32(_mm256_cvtps_epi32(n.v), 23)))};
#endif
}
// Lane l is lane lanes[l] of x; of `otherwise` its own, where lanes[l] is negative.
inline XCORR_VEC_8 Pick(XCORR_VEC_8 x, const int32_t* lanes, XCORR_VEC_8 otherwise) {
  const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes));
#if defined(__AVX512VL__)
  return {_mm256_mask_permutexvar_ps(otherwise.v, _mm256_cmpge_epi32_mask(from, _mm256_setzero_si256()), from, x.v)};
#else
  return {_mm256_blendv_ps(_mm256_permutevar8x32_ps(x.v, from), otherwise.v, _mm256_castsi256_ps(from))};
#endif
}

// Lane l of the result is lane places[l].
inline XCORR_VEC_8 Permute(XCORR_VEC_8 a, const int32_t* places) {
  return {_mm256_permutevar8x32_ps(a.v, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(places)))};
}

#if !defined(__AVX512VL__)
inline __m256i LanesBefore(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif
// The lanes before `count`; the others are those of `otherwise`, and their memory is not touched.
inline XCORR_VEC_8 LoadFirst(const float* p, int64_t count, XCORR_VEC_8 otherwise) {
#if defined(__AVX512VL__)
  return {_mm256_mask_loadu_ps(otherwise.v, static_cast<__mmask8>((1u << count) - 1), p)};
#else
  const __m256i first = LanesBefore(count);
  return {_mm256_blendv_ps(otherwise.v, _mm256_maskload_ps(p, first), _mm256_castsi256_ps(first))};
#endif
}
inline void StoreFirst(XCORR_VEC_8 a, float* p, int64_t count) {
#if defined(__AVX512VL__)
  _mm256_mask_storeu_ps(p, static_cast<__mmask8>((1u << count) - 1), a.v);
#else
  if (count < 4) return _mm256_maskstore_ps(p, LanesBefore(count), a.v);
  // Two halves that overlap: a masked store takes AMD's processors some 20 cycles.
  const __m256i last = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int32_t>(count) - 4), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  _mm_storeu_ps(p, _mm256_castps256_ps128(a.v));
  _mm_storeu_ps(p + count - 4, _mm256_castps256_ps128(_mm256_permutevar8x32_ps(a.v, last)));
#endif
}

// The lanes begin .. end - 1; the others are 0, and their memory is not touched.
template <typename V>
struct Mask;
template <typename V>
Mask<V> MakeMask(int64_t begin, int64_t end);
#if defined(__AVX512VL__)
template <>
struct Mask<XCORR_VEC_8> {
  __mmask8 v;
};
// Bits begin .. end - 1 of so many.
inline uint32_t BitsOfLanes(int64_t lanes, int64_t begin, int64_t end) {
  const auto before = [&](int64_t lane) { return (1u << (lane < 0 ? 0 : lane > lanes ? lanes : lane)) - 1; };
  return before(end) & ~before(begin);
}
template <>
inline Mask<XCORR_VEC_8> MakeMask<XCORR_VEC_8>(int64_t begin, int64_t end) { return {static_cast<__mmask8>(BitsOfLanes(8, begin, end))}; }
inline XCORR_VEC_8 LoadMasked(const float* p, Mask<XCORR_VEC_8> mask) { return {_mm256_maskz_loadu_ps(mask.v, p)}; }
#else
template <>
struct Mask<XCORR_VEC_8> {
  __m256i v;
};
template <>
inline Mask<XCORR_VEC_8> MakeMask<XCORR_VEC_8>(int64_t begin, int64_t end) { return {_mm256_andnot_si256(LanesBefore(begin), LanesBefore(end))}; }
inline XCORR_VEC_8 LoadMasked(const float* p, Mask<XCORR_VEC_8> mask) { return {_mm256_maskload_ps(p, mask.v)}; }
#endif

// Lane n of a and those after it, then the first n of b.
template <int n>
inline XCORR_VEC_8 Shift(XCORR_VEC_8 a, XCORR_VEC_8 b) {
  static_assert(n > 0 && n < 8, "lanes of both");
  const __m256i first = _mm256_castps_si256(a.v), last = _mm256_castps_si256(b.v), middle = _mm256_permute2x128_si256(first, last, 0x21);
  if constexpr (n < 4) return {_mm256_castsi256_ps(_mm256_alignr_epi8(middle, first, n * 4))};
  else return {_mm256_castsi256_ps(_mm256_alignr_epi8(last, middle, n * 4 - 16))};
}

// The lanes of a, then of b, that are even; and those that are odd.
inline void Deinterleave(XCORR_VEC_8 a, XCORR_VEC_8 b, XCORR_VEC_8& even, XCORR_VEC_8& odd) {
  const __m256 left = _mm256_permute2f128_ps(a.v, b.v, 0x20), right = _mm256_permute2f128_ps(a.v, b.v, 0x31);
  even.v = _mm256_shuffle_ps(left, right, 0x88);
  odd.v = _mm256_shuffle_ps(left, right, 0xdd);
}

// As Deinterleave, without the steps that bring lanes across quarters of 4; Ordered makes up for that. The lane of pixel p, and the pixel of lane l:
constexpr int SplitLane(int lanes, int p) { return p % (lanes / 2) / 2 * 4 + p / (lanes / 2) * 2 + p % 2; }
constexpr int SplitPixel(int lanes, int l) { return l / 4 * 2 + l % 4 / 2 * (lanes / 2) + l % 2; }
inline void Split(XCORR_VEC_8 a, XCORR_VEC_8 b, XCORR_VEC_8& even, XCORR_VEC_8& odd) {
  even.v = _mm256_shuffle_ps(a.v, b.v, 0x88);
  odd.v = _mm256_shuffle_ps(a.v, b.v, 0xdd);
}
inline XCORR_VEC_8 Ordered(XCORR_VEC_8 a) { return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a.v), 0xd8))}; }

// From which lane each takes its number when the pixels of such a vector move down by n; the last ones come from anywhere.
template <int kCount, int n>
struct SplitPlaces {
  int32_t places[kCount] = {};
  constexpr SplitPlaces() {
    for (int l = 0; l < kCount; ++l) places[l] = SplitLane(kCount, (SplitPixel(kCount, l) + n) % kCount);
  }
};
template <int n>
inline XCORR_VEC_8 MoveSplit(XCORR_VEC_8 a) {
  static constexpr SplitPlaces<8, n> kPlaces;
  return Permute(a, kPlaces.places);
}

// Lane l of row r becomes lane r of row l. Inline, or the rows would go through memory.
[[gnu::always_inline]] inline void Transpose(XCORR_VEC_8 (&r)[8]) {
  __m256 pairs[8], fours[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(r[i].v, r[i + 1].v);
    pairs[i + 1] = _mm256_unpackhi_ps(r[i].v, r[i + 1].v);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
      fours[i + 2 * k] = _mm256_shuffle_ps(pairs[i + k], pairs[i + 2 + k], 0x44);
      fours[i + 2 * k + 1] = _mm256_shuffle_ps(pairs[i + k], pairs[i + 2 + k], 0xee);
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    r[k].v = _mm256_permute2f128_ps(fours[k], fours[4 + k], 0x20);
    r[4 + k].v = _mm256_permute2f128_ps(fours[k], fours[4 + k], 0x31);
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
