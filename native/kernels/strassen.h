// The sums of inputs that Strassen's method multiplies (native/ops/convStrassen.cpp has the formulas).
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

template <typename V>
inline void StrassenSums(const StrassenInputArgs& args, int64_t i) {
  const V x11 = Load<V>(args.in[0][0] + i), x12 = Load<V>(args.in[0][1] + i), x21 = Load<V>(args.in[1][0] + i), x22 = Load<V>(args.in[1][1] + i);
  const V s1 = Add(x21, x22), s2 = Sub(s1, x11);
  Store(s1, args.out + i);
  Store(s2, args.out + args.outSum + i);
  Store(Sub(x11, x21), args.out + 2 * args.outSum + i);
  Store(Sub(x12, s2), args.out + 3 * args.outSum + i);
}

void StrassenInput(const StrassenInputArgs& args) {
  const int64_t floats = args.pixels * 8;
  int64_t i = 0;
  for (; i + kLanes <= floats; i += kLanes) StrassenSums<Vec>(args, i);
  for (; i < floats; i += 8) StrassenSums<Vec8>(args, i);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
