// As many multiply-adds as the machine can do: chains that do not wait for each other, all in registers. What times are compared with.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

void Peak(const PeakArgs& args) {
  constexpr int kChains = 12;
  const Vec factor = Set<Vec>(0.5f), term = Set<Vec>(1.0f);
  Vec acc[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) acc[i] = Set<Vec>(static_cast<float>(i));
  for (int64_t step = 0; step < args.steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = MulAdd(acc[i], factor, term);
  }
  // Used, so that it is not left out.
  for (int i = 0; i < kChains; ++i) Store(acc[i], args.out);
  *args.multiplyAdds = args.steps * kChains * kLanes;
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
