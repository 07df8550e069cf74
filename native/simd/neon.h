// NEON of AArch64, 4 lanes, 32 registers: every 64-bit ARM has it.
#pragma once
#include <arm_neon.h>

namespace xcorr::XCORR_ISA {
namespace {

constexpr int kLanes = 4;
struct Vec {
  float32x4_t v;
};

template <typename V>
V Load(const float* p);
template <typename V>
V Set(float x);

template <>
inline Vec Load<Vec>(const float* p) { return {vld1q_f32(p)}; }
template <>
inline Vec Set<Vec>(float x) { return {vdupq_n_f32(x)}; }
inline void Store(Vec a, float* p) { vst1q_f32(p, a.v); }
inline Vec Add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
inline Vec Sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
inline Vec Mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
inline Vec Div(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
inline Vec MulAdd(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
// vmaxq_f32 gives NaN if either is; the contract wants b, so select.
inline Vec Max(Vec a, Vec b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
inline Vec MaxOrNaN(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
inline Vec MinOrNaN(Vec a, Vec b) { return {vminq_f32(a.v, b.v)}; }
inline Vec IfNegative(Vec x, Vec a, Vec b) { return {vbslq_f32(vcltq_f32(x.v, vdupq_n_f32(0.0f)), a.v, b.v)}; }
inline Vec Sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
inline Vec Round(Vec a) { return {vrndnq_f32(a.v)}; }
// In two steps: 2^n alone may lie beyond the floats.
inline Vec Scale(Vec a, Vec n) {
  const int32x4_t whole = vcvtnq_s32_f32(n.v), half = vshrq_n_s32(whole, 1), bias = vdupq_n_s32(127);
  const float32x4_t first = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  const float32x4_t second = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23));
  return {vmulq_f32(vmulq_f32(a.v, first), second)};
}
inline Vec ScaleNormal(Vec a, Vec n) { return {vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a.v), vshlq_n_s32(vcvtnq_s32_f32(n.v), 23)))}; }

template <int n>
inline Vec Shift(Vec a, Vec b) { return {vextq_f32(a.v, b.v, n)}; }
inline void Deinterleave(Vec a, Vec b, Vec& even, Vec& odd) {
  even.v = vuzp1q_f32(a.v, b.v);
  odd.v = vuzp2q_f32(a.v, b.v);
}
inline void Split(Vec a, Vec b, Vec& even, Vec& odd) { Deinterleave(a, b, even, odd); }
inline Vec Ordered(Vec a) { return a; }
template <int n>
inline Vec MoveSplit(Vec a) { return Shift<n>(a, a); }

inline void Transpose(Vec& a, Vec& b, Vec& c, Vec& d) {
  const float32x4x2_t ab = vtrnq_f32(a.v, b.v), cd = vtrnq_f32(c.v, d.v);
  a.v = vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0]));
  b.v = vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1]));
  c.v = vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0]));
  d.v = vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1]));
}

}  // namespace
}  // namespace xcorr::XCORR_ISA

#include "vec8_array.h"
