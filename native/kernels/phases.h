// Pixels of a row by phases: every step-th one, then every step-th of those after them, and so on.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

void TakePhases(const PhasesArgs& args) {
  const float* in = args.in;
  float* const out = args.out;
  const int64_t step = args.step, count = args.count, apart = args.outPhase;
  int64_t i = 0;
  if (step == 2) {
    for (; i + kLanes <= count; i += kLanes, in += 2 * kLanes) {
      Vec even, odd;
      Deinterleave(Load<Vec>(in), Load<Vec>(in + kLanes), even, odd);
      Store(even, out + i);
      Store(odd, out + apart + i);
    }
  } else if (step == 4) {
    for (; i + kLanes <= count; i += kLanes, in += 4 * kLanes) {
      Vec even[2], odd[2], phases[4];
      Deinterleave(Load<Vec>(in), Load<Vec>(in + kLanes), even[0], odd[0]);
      Deinterleave(Load<Vec>(in + 2 * kLanes), Load<Vec>(in + 3 * kLanes), even[1], odd[1]);
      Deinterleave(even[0], even[1], phases[0], phases[2]);
      Deinterleave(odd[0], odd[1], phases[1], phases[3]);
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) Store(phases[p], out + p * apart + i);
    }
  }
  for (; i < count; ++i, in += step) {
    for (int64_t p = 0; p < step; ++p) out[p * apart + i] = in[p];
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
