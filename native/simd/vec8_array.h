// Vec8 for ISAs with less than 8 lanes: an array of Vec, every operation lane group by lane group.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

constexpr int kVecs8 = 8 / kLanes;
struct Vec8 {
  Vec part[kVecs8];
};

template <typename F>
inline Vec8 Each(F f) {
  Vec8 r;
  for (int i = 0; i < kVecs8; ++i) r.part[i] = f(i);
  return r;
}

template <>
inline Vec8 Load<Vec8>(const float* p) {
  return Each([p](int i) { return Load<Vec>(p + i * kLanes); });
}
template <>
inline Vec8 Set<Vec8>(float x) {
  return Each([x](int) { return Set<Vec>(x); });
}
inline void Store(Vec8 a, float* p) {
  for (int i = 0; i < kVecs8; ++i) Store(a.part[i], p + i * kLanes);
}
inline Vec8 Add(Vec8 a, Vec8 b) { return Each([&](int i) { return Add(a.part[i], b.part[i]); }); }
inline Vec8 Sub(Vec8 a, Vec8 b) { return Each([&](int i) { return Sub(a.part[i], b.part[i]); }); }
inline Vec8 Mul(Vec8 a, Vec8 b) { return Each([&](int i) { return Mul(a.part[i], b.part[i]); }); }
inline Vec8 Div(Vec8 a, Vec8 b) { return Each([&](int i) { return Div(a.part[i], b.part[i]); }); }
inline Vec8 Max(Vec8 a, Vec8 b) { return Each([&](int i) { return Max(a.part[i], b.part[i]); }); }
inline Vec8 Min(Vec8 a, Vec8 b) { return Each([&](int i) { return Min(a.part[i], b.part[i]); }); }
inline Vec8 MaxOrNaN(Vec8 a, Vec8 b) { return Each([&](int i) { return MaxOrNaN(a.part[i], b.part[i]); }); }
inline Vec8 MinOrNaN(Vec8 a, Vec8 b) { return Each([&](int i) { return MinOrNaN(a.part[i], b.part[i]); }); }
inline Vec8 MulAdd(Vec8 a, Vec8 b, Vec8 c) {
  return Each([&](int i) { return MulAdd(a.part[i], b.part[i], c.part[i]); });
}
inline Vec8 IfNegative(Vec8 x, Vec8 a, Vec8 b) {
  return Each([&](int i) { return IfNegative(x.part[i], a.part[i], b.part[i]); });
}
inline Vec8 Sqrt(Vec8 a) { return Each([&](int i) { return Sqrt(a.part[i]); }); }
inline Vec8 Round(Vec8 a) { return Each([&](int i) { return Round(a.part[i]); }); }
inline Vec8 Scale(Vec8 a, Vec8 n) {
  return Each([&](int i) { return Scale(a.part[i], n.part[i]); });
}
inline Vec8 ScaleNormal(Vec8 a, Vec8 n) {
  return Each([&](int i) { return ScaleNormal(a.part[i], n.part[i]); });
}

inline Vec Kept(Vec a) { return a; }

// Lanes from `count` on are those of `otherwise`, or are not stored.
inline Vec LoadFirst(const float* p, int64_t count, Vec otherwise) {
  float lanes[kLanes];
  Store(otherwise, lanes);
  for (int64_t l = 0; l < count; ++l) lanes[l] = p[l];
  return Load<Vec>(lanes);
}
inline void StoreFirst(Vec a, float* p, int64_t count) {
  float lanes[kLanes];
  Store(a, lanes);
  for (int64_t l = 0; l < count; ++l) p[l] = lanes[l];
}

// The lanes begin .. end - 1; the others are 0, and their memory is not touched.
template <typename V>
struct Mask;
template <>
struct Mask<Vec> {
  int64_t begin, end;
};
template <typename V>
Mask<V> MakeMask(int64_t begin, int64_t end);
template <>
inline Mask<Vec> MakeMask<Vec>(int64_t begin, int64_t end) { return {begin < 0 ? 0 : begin, end > kLanes ? kLanes : end}; }
inline Vec LoadMasked(const float* p, Mask<Vec> mask) {
  if (mask.begin == 0 && mask.end == kLanes) return Load<Vec>(p);
  float lanes[kLanes] = {};
  for (int64_t l = mask.begin; l < mask.end; ++l) lanes[l] = p[l];
  return Load<Vec>(lanes);
}

// Lane l of the result is lane places[l].
inline Vec8 Permute(Vec8 a, const int32_t* places) {
  float from[8], to[8];
  Store(a, from);
  for (int l = 0; l < 8; ++l) to[l] = from[places[l]];
  return Load<Vec8>(to);
}

// Lane l of row r becomes lane r of row l.
inline void Transpose(Vec8 (&r)[8]) {
  if constexpr (kLanes == 4) {
    for (int i = 0; i < 8; i += 4) {
      for (int k = 0; k < kVecs8; ++k) Transpose(r[i].part[k], r[i + 1].part[k], r[i + 2].part[k], r[i + 3].part[k]);
    }
    for (int i = 0; i < 4; ++i) {
      const Vec right = r[i].part[1];
      r[i].part[1] = r[4 + i].part[0];
      r[4 + i].part[0] = right;
    }
  } else {
    for (int i = 0; i < 8; ++i) {
      for (int k = i + 1; k < 8; ++k) {
        const Vec other = r[i].part[k];
        r[i].part[k] = r[k].part[i];
        r[k].part[i] = other;
      }
    }
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
