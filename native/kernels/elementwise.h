// Elementwise runs over flat arrays, a group of vectors at a time: which operation it is, is asked once per group. An operand that repeats, one number or a
// block of 8, is written out once to the length of a group and read from there every time. What is left in the end goes vector by vector, the last few
// numbers through buffers.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// Vectors of a group: whole blocks of 8.
constexpr int kRunVecs = kLanes == 1 ? 8 : 4;
constexpr int kRun = kRunVecs * kLanes;

template <int kVecs, typename F>
inline void ForVecs(const F& f) {
#pragma GCC unroll 8
  for (int v = 0; v < kVecs; ++v) f(v);
}

template <int kVecs>
inline void ActivateVecs(Vec (&y)[kVecs], const Activation& f) {
  if (f.kind == ActivationKind::kNone && !f.affine) return;
  if (Clips(f)) {
    ForVecs<kVecs>([&](int v) { y[v] = Clip(y[v], f.a, f.b); });
    return;
  }
  // Not unrolled: long enough as they are.
#pragma GCC unroll 1
  for (int v = 0; v < kVecs; ++v) y[v] = Activate(y[v], f);
}

template <int kVecs>
inline void UnaryVecs(const UnaryArgs& args, const float* in, float* out) {
  Vec y[kVecs];
  const auto each = [&](const auto& f) { ForVecs<kVecs>([&](int v) { y[v] = f(y[v]); }); };
  ForVecs<kVecs>([&](int v) { y[v] = Load<Vec>(in + v * kLanes); });
  switch (args.kind) {
    case UnaryKind::kActivation: ActivateVecs<kVecs>(y, args.activation); break;
    case UnaryKind::kErf: each([](Vec x) { return Erf(x); }); break;
    case UnaryKind::kExp: each([](Vec x) { return Exp(x); }); break;
    case UnaryKind::kSqrt: each([](Vec x) { return Sqrt(x); }); break;
    case UnaryKind::kReciprocal: each([](Vec x) { return Div(Set<Vec>(1.0f), x); }); break;
    case UnaryKind::kAbs: each([](Vec x) { return Abs(x); }); break;
    case UnaryKind::kNeg: each([](Vec x) { return Mul(Set<Vec>(-1.0f), x); }); break;
  }
  ForVecs<kVecs>([&](int v) { Store(y[v], out + v * kLanes); });
}

// Up to a vector of numbers, the rest ones.
inline const float* Tail(const float* from, int64_t count, float (&to)[kLanes]) {
  for (int64_t k = 0; k < kLanes; ++k) to[k] = k < count ? from[k] : 1.0f;
  return to;
}

void UnaryRun(const UnaryArgs& args) {
  int64_t i = 0;
  for (; i + kRun <= args.count; i += kRun) UnaryVecs<kRunVecs>(args, args.in + i, args.out + i);
  for (; i + kLanes <= args.count; i += kLanes) UnaryVecs<1>(args, args.in + i, args.out + i);
  if (i == args.count) return;
  float in[kLanes], out[kLanes];
  UnaryVecs<1>(args, Tail(args.in + i, args.count - i, in), out);
  for (int64_t k = 0; i + k < args.count; ++k) args.out[i + k] = out[k];
}

template <int kVecs>
inline void BinaryVecs(const BinaryArgs& args, const float* a, const float* b, const float* c, float* out) {
  Vec y[kVecs];
  const auto each = [&](const auto& f) { ForVecs<kVecs>([&](int v) { y[v] = f(y[v], Load<Vec>(b + v * kLanes)); }); };
  ForVecs<kVecs>([&](int v) { y[v] = Load<Vec>(a + v * kLanes); });
  switch (args.kind) {
    case BinaryKind::kAdd: each([](Vec p, Vec q) { return Add(p, q); }); break;
    case BinaryKind::kSub: each([](Vec p, Vec q) { return Sub(p, q); }); break;
    case BinaryKind::kMul: each([](Vec p, Vec q) { return Mul(p, q); }); break;
    case BinaryKind::kDiv: each([](Vec p, Vec q) { return Div(p, q); }); break;
    case BinaryKind::kMax: each([](Vec p, Vec q) { return MaxOrNaN(p, q); }); break;
    case BinaryKind::kMin: each([](Vec p, Vec q) { return MinOrNaN(p, q); }); break;
    case BinaryKind::kPrelu: each([](Vec p, Vec q) { return IfNegative(p, Mul(p, q), p); }); break;
  }
  if (c) ForVecs<kVecs>([&](int v) { y[v] = Add(y[v], Load<Vec>(c + v * kLanes)); });
  ActivateVecs<kVecs>(y, args.activation);
  ForVecs<kVecs>([&](int v) { Store(y[v], out + v * kLanes); });
}

// An operand, or what it repeats at the length of a group.
inline const float* Repeated(const float* p, Operand form, float (&group)[kRun]) {
  if (!p || form == Operand::kFull) return p;
  for (int k = 0; k < kRun; ++k) group[k] = form == Operand::kBlock ? p[k % 8] : *p;
  return group;
}

void BinaryRun(const BinaryArgs& args) {
  float groupA[kRun], groupB[kRun], groupC[kRun];
  const float *a = Repeated(args.a, args.aForm, groupA), *b = Repeated(args.b, args.bForm, groupB), *c = Repeated(args.c, args.cForm, groupC);
  const auto step = [](Operand form) { return form == Operand::kFull ? kRun : 0; };
  const int stepA = step(args.aForm), stepB = step(args.bForm), stepC = c ? step(args.cForm) : 0;
  int64_t left = args.count;
  float* out = args.out;
  for (; left >= kRun; left -= kRun, a += stepA, b += stepB, c += stepC, out += kRun) BinaryVecs<kRunVecs>(args, a, b, c, out);
  // Less than a group: within it, what repeats goes on like the rest.
  for (; left >= kLanes; left -= kLanes, a += kLanes, b += kLanes, c += c ? kLanes : 0, out += kLanes) BinaryVecs<1>(args, a, b, c, out);
  if (left == 0) return;
  float tailA[kLanes], tailB[kLanes], tailC[kLanes], tail[kLanes];
  BinaryVecs<1>(args, Tail(a, left, tailA), Tail(b, left, tailB), c ? Tail(c, left, tailC) : nullptr, tail);
  for (int64_t k = 0; k < left; ++k) out[k] = tail[k];
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
