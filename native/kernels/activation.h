// Activations on vectors. NaN in, NaN out: limits go first in Max and Min (simd/vec.md).
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// e^x to 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2; e^r by a degree-6 Taylor polynomial; times 2^n as 2 * 2^(n - 1), since n may be 128.
// Beyond the largest float infinity, below 2^-125 zero.
template <typename V>
inline V Exp(V x) {
  const float kLargest = 88.7228394f, kSmallest = -86.6f;
  const V clipped = Min(Set<V>(kLargest), Max(Set<V>(kSmallest), x));
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
  const V y = Mul(Add(p, p), Pow2(Sub(n, Set<V>(1.0f))));
  const V bounded = IfNegative(Sub(Set<V>(kLargest), x), Set<V>(__builtin_inff()), y);
  return IfNegative(Sub(x, Set<V>(kSmallest)), Set<V>(0.0f), bounded);
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

template <typename V>
inline V ApplyKind(V x, const Activation& f) {
  const V zero = Set<V>(0.0f), one = Set<V>(1.0f);
  switch (f.kind) {
    case ActivationKind::kNone: return x;
    case ActivationKind::kClip: return Clip(x, f.a, f.b);
    case ActivationKind::kLeakyRelu: return IfNegative(x, Mul(x, Set<V>(f.a)), x);
    case ActivationKind::kSigmoid: return Sigmoid(x);
    case ActivationKind::kHardSigmoid: return Clip(Add(Mul(x, Set<V>(f.a)), Set<V>(f.b)), 0.0f, 1.0f);
    case ActivationKind::kHardSwish: return Mul(x, Clip(Add(Mul(x, Set<V>(1.0f / 6)), Set<V>(0.5f)), 0.0f, 1.0f));
    case ActivationKind::kSilu: return Mul(x, Sigmoid(Mul(x, Set<V>(f.a))));
    case ActivationKind::kTanh: return Tanh(x);
    case ActivationKind::kElu: return IfNegative(x, Mul(Set<V>(f.a), Sub(Exp(x), one)), x);
    case ActivationKind::kMish: {
      // tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2); beyond x = 20 it is 1.
      const V e = Exp(Min(Set<V>(20.0f), x));
      const V n = Mul(e, Add(e, Set<V>(2.0f)));
      return Mul(x, Div(n, Add(n, Set<V>(2.0f))));
    }
    case ActivationKind::kGeluTanh: {
      const V inner = Mul(Set<V>(0.797884561f), MulAdd(Mul(Mul(x, x), x), Set<V>(0.044715f), x));
      return Mul(Mul(Set<V>(0.5f), x), Add(one, Tanh(inner)));
    }
  }
  return zero;
}

template <typename V>
inline V Activate(V x, const Activation& f) {
  const V y = ApplyKind(x, f);
  return f.affine ? MulAdd(y, Set<V>(f.scale), Set<V>(f.shift)) : y;
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
