// Elementwise runs over flat arrays. The tail of less than 8 goes through a buffer of 8.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

inline Vec8 Abs(Vec8 x) { return Max(Sub(Set<Vec8>(0.0f), x), x); }

inline Vec8 ApplyUnary(Vec8 x, const UnaryArgs& args) {
  switch (args.kind) {
    case UnaryKind::kActivation: return Activate(x, args.activation);
    case UnaryKind::kExp: return Exp(x);
    case UnaryKind::kSqrt: return Sqrt(x);
    case UnaryKind::kReciprocal: return Div(Set<Vec8>(1.0f), x);
    case UnaryKind::kAbs: return Abs(x);
    case UnaryKind::kNeg: return Mul(Set<Vec8>(-1.0f), x);
  }
  return x;
}

void UnaryRun(const UnaryArgs& args) {
  int64_t i = 0;
  for (; i + 8 <= args.count; i += 8) Store(ApplyUnary(Load<Vec8>(args.in + i), args), args.out + i);
  if (i == args.count) return;
  float tail[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (int64_t k = i; k < args.count; ++k) tail[k - i] = args.in[k];
  Store(ApplyUnary(Load<Vec8>(tail), args), tail);
  for (int64_t k = i; k < args.count; ++k) args.out[k] = tail[k - i];
}

inline Vec8 ApplyBinary(Vec8 a, Vec8 b, const BinaryArgs& args) {
  switch (args.kind) {
    case BinaryKind::kAdd: return Add(a, b);
    case BinaryKind::kSub: return Sub(a, b);
    case BinaryKind::kMul: return Mul(a, b);
    case BinaryKind::kDiv: return Div(a, b);
    case BinaryKind::kMax: return MaxOrNaN(a, b);
    case BinaryKind::kMin: return MinOrNaN(a, b);
    case BinaryKind::kPrelu: return IfNegative(a, Mul(a, b), a);
  }
  return a;
}

inline Vec8 LoadOperand(const float* p, Operand form, int64_t i) {
  if (form == Operand::kFull) return Load<Vec8>(p + i);
  return form == Operand::kBlock ? Load<Vec8>(p) : Set<Vec8>(*p);
}

void BinaryRun(const BinaryArgs& args) {
  int64_t i = 0;
  for (; i + 8 <= args.count; i += 8) {
    const Vec8 y = ApplyBinary(LoadOperand(args.a, args.aForm, i), LoadOperand(args.b, args.bForm, i), args);
    Store(Activate(y, args.activation), args.out + i);
  }
  if (i == args.count) return;
  float a[8] = {1, 1, 1, 1, 1, 1, 1, 1}, b[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  for (int64_t k = i; k < args.count; ++k) {
    a[k - i] = args.aForm == Operand::kFull ? args.a[k] : args.a[0];
    b[k - i] = args.bForm == Operand::kFull ? args.b[k] : args.b[0];
  }
  Store(Activate(ApplyBinary(Load<Vec8>(a), Load<Vec8>(b), args), args.activation), a);
  for (int64_t k = i; k < args.count; ++k) args.out[k] = a[k - i];
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
