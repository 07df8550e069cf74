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
inline void UnaryVecs(const UnaryArgs& args, const float* in, float* out) {
  Vec y[kVecs];
  const auto each = [&](const auto& f) { ForVecs<kVecs>([&](int v) { y[v] = f(y[v]); }); };
  ForVecs<kVecs>([&](int v) { y[v] = Load<Vec>(in + v * kLanes); });
  switch (args.kind) {
    case UnaryKind::kActivation: break;  // ActivateRun
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

// Which activation it is, is asked once per run: asked per vector, each would wait for the one before, and take two to five times as long.
[[gnu::noinline]] void ActivateRun(const UnaryArgs& args) {
  const UnaryArgs copy = args;  // which no store can change
  ForKind(copy.activation.kind, [&](auto as) {
    constexpr ActivationKind kKind = decltype(as)::kind;
    const int64_t i = ActivateVecs<kKind>(copy.in, copy.out, copy.count, copy.activation);
    if (i == copy.count) return;
    float in[kLanes], out[kLanes];
    Store(ActivateAs<kKind>(Load<Vec>(Tail(copy.in + i, copy.count - i, in)), copy.activation), out);
    for (int64_t k = 0; i + k < copy.count; ++k) copy.out[i + k] = out[k];
  });
}

void UnaryRun(const UnaryArgs& args) {
  if (args.kind == UnaryKind::kActivation) return ActivateRun(args);
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
  if (Clips(args.activation)) ForVecs<kVecs>([&](int v) { y[v] = Clip(y[v], args.activation.a, args.activation.b); });
  ForVecs<kVecs>([&](int v) { Store(y[v], out + v * kLanes); });
}

// An operand, or what it repeats at the length of a group.
inline const float* Repeated(const float* p, Operand form, float (&group)[kRun]) {
  if (!p || form == Operand::kFull) return p;
  for (int k = 0; k < kRun; ++k) group[k] = form == Operand::kBlock ? p[k % 8] : *p;
  return group;
}

// All but the rarer activations.
inline void CombineRun(const BinaryArgs& args) {
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

// Numbers that are still in the first cache when the rarer activations run over them; whole groups.
constexpr int64_t kActivatedFloats = 32 * kRun;

void BinaryRun(const BinaryArgs& args) {
  if (!IsRare(args.activation) && !args.activation.affine) return CombineRun(args);
  BinaryArgs some = args;
  for (int64_t i = 0; i < args.count; i += kActivatedFloats) {
    const auto at = [i](const float* p, Operand form) { return p && form == Operand::kFull ? p + i : p; };
    some.a = at(args.a, args.aForm);
    some.b = at(args.b, args.bForm);
    some.c = at(args.c, args.cForm);
    some.out = args.out + i;
    some.count = args.count - i < kActivatedFloats ? args.count - i : kActivatedFloats;
    some.activation = {};
    CombineRun(some);
    ActivateRun({some.out, some.out, some.count, UnaryKind::kActivation, args.activation});
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
