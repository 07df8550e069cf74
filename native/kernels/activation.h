// Activations on vectors. NaN in, NaN out: limits go first in Max and Min (simd/vec.md).
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// e^x to 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2; e^r by a degree-6 Taylor polynomial; times 2^n. The limits lie where the result has become
// infinity or 0.
template <typename V>
inline V Exp(V x) {
  const V clipped = Min(Set<V>(89.0f), Max(Set<V>(-104.0f), x));
  const V n = Round(Mul(clipped, Set<V>(1.44269504f)));
  // ln 2 in two parts, so that the product with n is exact in the first.
  V r = MulAdd(n, Set<V>(-0.693359375f), clipped);
  r = MulAdd(n, Set<V>(2.12194440e-4f), r);
  V p = Set<V>(1.0f / 720);
  p = MulAdd(p, r, Set<V>(1.0f / 120));
  p = MulAdd(p, r, Set<V>(1.0f / 24));
  p = MulAdd(p, r, Set<V>(1.0f / 6));
  p = MulAdd(p, r, Set<V>(0.5f));
  p = MulAdd(p, r, Set<V>(1.0f));
  p = MulAdd(p, r, Set<V>(1.0f));
  return Scale(p, n);
}

template <typename V>
inline V Clip(V x, float low, float high) {
  return Min(Set<V>(high), Max(Set<V>(low), x));
}

template <typename V>
inline V Sigmoid(V x) {
  const V one = Set<V>(1.0f);
  return Div(one, Add(one, Exp(Sub(Set<V>(0.0f), x))));
}

// tanh: an odd polynomial near 0, where the quotient of exponentials would cancel; 1 - 2 / (e^2x + 1) elsewhere.
template <typename V>
inline V Tanh(V x) {
  const V one = Set<V>(1.0f);
  const V far = Sub(one, Div(Set<V>(2.0f), Add(Exp(Add(x, x)), one)));
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
  if constexpr (kKind == ActivationKind::kSigmoid) return Sigmoid(x);
  if constexpr (kKind == ActivationKind::kHardSigmoid) return Clip(Add(Mul(x, Set<V>(f.a)), Set<V>(f.b)), 0.0f, 1.0f);
  if constexpr (kKind == ActivationKind::kHardSwish) return Mul(x, Clip(Add(Mul(x, Set<V>(1.0f / 6)), Set<V>(0.5f)), 0.0f, 1.0f));
  if constexpr (kKind == ActivationKind::kSilu) return Mul(x, Sigmoid(Mul(x, Set<V>(f.a))));
  if constexpr (kKind == ActivationKind::kTanh) return Tanh(x);
  if constexpr (kKind == ActivationKind::kElu) return IfNegative(x, Mul(Set<V>(f.a), Sub(Exp(x), one)), x);
  if constexpr (kKind == ActivationKind::kMish) {
    // tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2); beyond x = 20 it is 1.
    const V e = Exp(Min(Set<V>(20.0f), x));
    const V n = Mul(e, Add(e, Set<V>(2.0f)));
    return Mul(x, Div(n, Add(n, Set<V>(2.0f))));
  }
  if constexpr (kKind == ActivationKind::kGeluTanh) {
    const V inner = Mul(Set<V>(0.797884561f), MulAdd(Mul(Mul(x, x), x), Set<V>(0.044715f), x));
    return Mul(Mul(Set<V>(0.5f), x), Add(one, Tanh(inner)));
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
    case ActivationKind::kGeluTanh: return run(As<ActivationKind::kGeluTanh>());
  }
}

template <typename V>
inline V Activate(V x, const Activation& f) {
  V y = x;
  ForKind(f.kind, [&](auto as) { y = ActivateAs<decltype(as)::kind>(x, f); });
  return y;
}

// In place, on a number of floats that is a multiple of 8: for kernels that store first, so that the code of the rarer activations stays out of
// their loops, which are instantiated often.
void ActivateRun(float* p, int64_t count, const Activation& f) {
  ForKind(f.kind, [&](auto as) {
    int64_t i = 0;
    if constexpr (kLanes > 8) {
      for (; i + kLanes <= count; i += kLanes) Store(ActivateAs<decltype(as)::kind>(Load<Vec>(p + i), f), p + i);
    }
    for (; i < count; i += 8) Store(ActivateAs<decltype(as)::kind>(Load<Vec8>(p + i), f), p + i);
  });
}

// On the 8 channels of `count` pixels, `pixel` floats apart.
inline void ActivatePixels(float* p, int64_t count, ptrdiff_t pixel, const Activation& f) {
  if (pixel == 8) return ActivateRun(p, count * 8, f);
  for (int64_t i = 0; i < count; ++i) ActivateRun(p + i * pixel, 8, f);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
