// Activations on vectors. NaN in, NaN out: limits go first in Max and Min (simd/vec.md).
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// Limits alone: what kernels do to sums in registers.
inline bool Clips(const Activation& f) { return f.kind == ActivationKind::kClip && !f.affine; }
// What runs over stored results (ActivatePixels).
inline bool IsRare(const Activation& f) { return f.kind != ActivationKind::kNone && !Clips(f); }

constexpr float kLog2E = 1.44269504f;

// e^x to 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, ln 2 in two parts, so that the product with n is exact in the first; e^r by a degree-6 Taylor polynomial; times 2^n.
// The limits lie where the result has become infinity or 0.
template <typename V>
inline V Exp(V x) {
  x = Min(Set<V>(89.0f), Max(Set<V>(-104.0f), x));
  const V n = Round(Mul(x, Set<V>(kLog2E)));
  const V r = MulAdd(n, Set<V>(2.12194440e-4f), MulAdd(n, Set<V>(-0.693359375f), x));
  V p = Set<V>(1.0f / 720);
  p = MulAdd(p, r, Set<V>(1.0f / 120));
  p = MulAdd(p, r, Set<V>(1.0f / 24));
  p = MulAdd(p, r, Set<V>(1.0f / 6));
  p = MulAdd(p, r, Set<V>(0.5f));
  p = MulAdd(p, r, Set<V>(1.0f));
  p = MulAdd(p, r, Set<V>(1.0f));
  return Scale(p, n);
}

// c0 + c1 x + c2 x^2 + c3 x^3, by halves: what takes one step after another takes as long as it has steps.
template <typename V>
inline V Cubic(V x, V square, float c0, float c1, float c2, float c3) {
  return MulAdd(MulAdd(x, Set<V>(c3), Set<V>(c2)), square, MulAdd(x, Set<V>(c1), Set<V>(c0)));
}

template <typename V>
inline V Clip(V x, float low, float high) {
  return Min(Set<V>(high), Max(Set<V>(low), x));
}

template <typename V>
inline V Abs(V x) {
  return Max(Sub(Set<V>(0.0f), x), x);
}

// 2^t / 2 within 1e-7 of itself, the least for this degree and an exact half; t between -125 and 128.
template <typename V>
inline V HalfExp2(V t) {
  const V n = Round(t), f = Sub(t, n), square = Mul(f, f);
  const V high = MulAdd(f, Set<V>(6.63236342e-4f), Set<V>(4.83575633e-3f));
  const V p = MulAdd(MulAdd(high, square, MulAdd(f, Set<V>(0.0277536687f), Set<V>(0.12011121f))), square, MulAdd(f, Set<V>(0.346573489f), Set<V>(0.5f)));
  return ScaleNormal(p, n);
}

// 1 + 2^t, which is 1 or infinity beyond -124 and 128: where the sum is all that is asked for. As exact as t is, which a product with log2 e leaves to 2^-25 of itself.
template <typename V>
inline V OneAndExp2(V t) {
  return MulAdd(Set<V>(2.0f), HalfExp2(Clip(t, -124.0f, 128.0f)), Set<V>(1.0f));
}

// The normal distribution's share beyond 2t and -2t, erfc(-t sqrt 2), for -kTailsEnd <= t <= 0: its logarithm is close to a polynomial. Within 1.4e-7 of itself near 0,
// of 7e-8 in all; 2e-32 at the end.
constexpr float kTailsEnd = 5.5f;
template <typename V>
inline V Tails(V t) {
  const V square = Mul(t, t);
  const V low = Cubic(t, square, 2.30221510f, -1.83672094f, 0.420838684f, 0.116065681f);
  const V high = Cubic(t, square, 9.85716749e-3f, -6.73944317e-3f, -2.60404497e-3f, -2.78736639e-4f);
  return HalfExp2(MulAdd(MulAdd(high, Mul(square, square), low), t, Set<V>(1.0f)));
}

// -|x|, not less than -kTailsEnd.
template <typename V>
inline V TailsPlace(V x) {
  return Max(Set<V>(-kTailsEnd), Min(x, Sub(Set<V>(0.0f), x)));
}

// An odd polynomial near 0, where 1 - erfc would cancel.
template <typename V>
inline V Erf(V x) {
  const V s = Mul(x, x), far = Sub(Set<V>(1.0f), Tails(TailsPlace(Mul(x, Set<V>(0.707106781f)))));
  V p = Set<V>(-5.63142239e-4f);
  p = MulAdd(p, s, Set<V>(4.91755130e-3f));
  p = MulAdd(p, s, Set<V>(-0.0267113112f));
  p = MulAdd(p, s, Set<V>(0.112801798f));
  p = MulAdd(p, s, Set<V>(-0.376123250f));
  p = MulAdd(p, s, Set<V>(1.12837911f));
  return IfNegative(Sub(s, Set<V>(1.0f)), Mul(p, x), IfNegative(x, Sub(Set<V>(0.0f), far), far));
}

// x times the normal distribution's share below x: x or 0, less |x| times the share beyond -|x|, which is half of both tails'. Of -infinity NaN, as by x (1 + erf) / 2.
template <typename V>
inline V Gelu(V x) {
  const V half = Mul(x, Set<V>(0.5f)), relu = Sub(half, Min(half, Sub(Set<V>(0.0f), half)));
  const V t = TailsPlace(half);
  return MulAdd(t, Tails(t), relu);
}

// tanh: an odd polynomial near 0, where the quotient of exponentials would cancel; 1 - 2 / (e^2x + 1) elsewhere.
template <typename V>
inline V Tanh(V x) {
  const V one = Set<V>(1.0f);
  const V far = Sub(one, Div(Set<V>(2.0f), OneAndExp2(Mul(x, Set<V>(2 * kLog2E)))));
  const V s = Mul(x, x);
  V p = Set<V>(62.0f / 2835);
  p = MulAdd(p, s, Set<V>(-17.0f / 315));
  p = MulAdd(p, s, Set<V>(2.0f / 15));
  p = MulAdd(p, s, Set<V>(-1.0f / 3));
  const V near = MulAdd(Mul(p, s), x, x);
  return IfNegative(Sub(s, Set<V>(0.04f)), near, far);
}

template <ActivationKind kKind, typename V>
inline V ApplyKind(V x, const Activation& f) {
  const V one = Set<V>(1.0f);
  if constexpr (kKind == ActivationKind::kClip) return Clip(x, f.a, f.b);
  if constexpr (kKind == ActivationKind::kLeakyRelu) return IfNegative(x, Mul(x, Set<V>(f.a)), x);
  if constexpr (kKind == ActivationKind::kPrelu) return IfNegative(x, Mul(x, Load<V>(f.slopes)), x);  // a slope for each lane
  if constexpr (kKind == ActivationKind::kSigmoid) return Div(one, OneAndExp2(Mul(x, Set<V>(-kLog2E))));
  if constexpr (kKind == ActivationKind::kHardSigmoid) return Clip(MulAdd(x, Set<V>(f.a), Set<V>(f.b)), 0.0f, 1.0f);
  if constexpr (kKind == ActivationKind::kHardSwish) return Mul(x, Clip(MulAdd(x, Set<V>(1.0f / 6), Set<V>(0.5f)), 0.0f, 1.0f));
  if constexpr (kKind == ActivationKind::kSilu) return Div(x, OneAndExp2(Mul(x, Set<V>(-kLog2E * f.a))));
  if constexpr (kKind == ActivationKind::kTanh) return Tanh(x);
  if constexpr (kKind == ActivationKind::kElu) {
    const V half = HalfExp2(Clip(Mul(x, Set<V>(kLog2E)), -124.0f, 128.0f));
    return IfNegative(x, Mul(Set<V>(f.a), MulAdd(Set<V>(2.0f), half, Set<V>(-1.0f))), x);
  }
  if constexpr (kKind == ActivationKind::kMish) {
    // tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2); beyond x = 20 it is 1.
    const V e = Exp(Min(Set<V>(20.0f), x));
    const V n = Mul(e, Add(e, Set<V>(2.0f)));
    return Mul(x, Div(n, Add(n, Set<V>(2.0f))));
  }
  if constexpr (kKind == ActivationKind::kGelu) return Gelu(x);
  // x (1 + tanh(u)) / 2 = x / (1 + e^-2u)
  if constexpr (kKind == ActivationKind::kGeluTanh) {
    constexpr float kFactor = -2 * kLog2E * 0.797884561f;
    return Div(x, OneAndExp2(Mul(x, MulAdd(Mul(x, x), Set<V>(kFactor * 0.044715f), Set<V>(kFactor)))));
  }
  return x;
}

template <ActivationKind kKind, typename V>
inline V ActivateAs(V x, const Activation& f) {
  const V y = ApplyKind<kKind>(x, f);
  return f.affine ? MulAdd(y, Set<V>(f.scale), Set<V>(f.shift)) : y;
}

// Calls run(As<kind>()) with the activation's kind as a constant.
template <ActivationKind kKind>
struct As {
  static constexpr ActivationKind kind = kKind;
};
template <typename F>
inline void ForKind(ActivationKind kind, const F& run) {
  switch (kind) {
    case ActivationKind::kNone: return run(As<ActivationKind::kNone>());
    case ActivationKind::kClip: return run(As<ActivationKind::kClip>());
    case ActivationKind::kLeakyRelu: return run(As<ActivationKind::kLeakyRelu>());
    case ActivationKind::kSigmoid: return run(As<ActivationKind::kSigmoid>());
    case ActivationKind::kHardSigmoid: return run(As<ActivationKind::kHardSigmoid>());
    case ActivationKind::kHardSwish: return run(As<ActivationKind::kHardSwish>());
    case ActivationKind::kSilu: return run(As<ActivationKind::kSilu>());
    case ActivationKind::kTanh: return run(As<ActivationKind::kTanh>());
    case ActivationKind::kElu: return run(As<ActivationKind::kElu>());
    case ActivationKind::kMish: return run(As<ActivationKind::kMish>());
    case ActivationKind::kGelu: return run(As<ActivationKind::kGelu>());
    case ActivationKind::kGeluTanh: return run(As<ActivationKind::kGeluTanh>());
    case ActivationKind::kPrelu: return run(As<ActivationKind::kPrelu>());
  }
}

// The whole vectors of a run; how many numbers they are. f: a copy, which stays in registers.
template <ActivationKind kKind>
inline int64_t ActivateVecs(const float* in, float* out, int64_t count, Activation f) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(ActivateAs<kKind>(Load<Vec>(in + i), f), out + i);
  return i;
}

// In place, on runs of a number of floats that is a multiple of 8, `step` apart; of a prelu they are all of one block: for kernels that store first, so that the code of the rarer activations
// stays out of their loops, which are instantiated often. Many vectors at a time: each alone takes several times as long as it has work.
[[gnu::noinline]] void ActivateRuns(float* p, int64_t runs, ptrdiff_t step, int64_t count, const Activation& activation) {
  Activation f = activation;  // a copy, which no store can change
  // The block's slopes as often as whole vectors need them.
  constexpr int kSlopes = kLanes > 8 ? kLanes : 8;
  float slopes[kSlopes];
  if (f.slopes) {
    for (int l = 0; l < kSlopes; ++l) slopes[l] = activation.slopes[l % 8];
    f.slopes = slopes;
  }
  ForKind(f.kind, [&](auto as) {
    constexpr ActivationKind kKind = decltype(as)::kind;
    for (float* run = p; runs > 0; --runs, run += step) {
      int64_t i = 0;
      if constexpr (kLanes > 8) i = ActivateVecs<kKind>(run, run, count, f);
      for (; i < count; i += 8) Store(ActivateAs<kKind>(Load<Vec8>(run + i), f), run + i);
    }
  });
}

// On `blocks` blocks of 8 channels, `block` floats apart, of `rows` rows of `count` pixels, `row` and `pixel` apart.
inline void ActivatePixels(float* p, int blocks, ptrdiff_t block, int64_t rows, ptrdiff_t row, int64_t count, ptrdiff_t pixel, const Activation& f) {
  if (pixel != 8 && block == 8 && !f.slopes) {
    for (int64_t r = 0; r < rows; ++r) ActivateRuns(p + r * row, count, pixel, blocks * 8, f);
    return;
  }
  for (int b = 0; b < blocks; ++b) {
    const Activation own = f.From(b * 8);
    if (pixel == 8) ActivateRuns(p + b * block, rows, row, count * 8, own);
    else for (int64_t r = 0; r < rows; ++r) ActivateRuns(p + b * block + r * row, count, pixel, 8, own);
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
