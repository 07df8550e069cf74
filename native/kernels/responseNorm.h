// Response norm over channels: each number by a power of the squares around it, in its own pixel.
//
// The squares of a pixel's channels are written side by side, with zeros around them, so that the window of 8 channels at once is a few loads, each
// shifted by one. All pixels' squares come first: a load that straddles two stores just made would wait for both.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// kSize: of the window; 0: only known at run time.
template <int kSize>
inline void NormRun(const ResponseNormArgs& args) {
  const int64_t size = kSize ? kSize : args.size, row = args.blocks * 8 + size - 1;
  for (int64_t p = 0; p < args.pixels; ++p) {
    float* squares = args.squares + p * row;
    for (int64_t t = 0; t < args.before; ++t) squares[t] = 0.0f;
    for (int64_t t = args.before; t < size - 1; ++t) squares[args.blocks * 8 + t] = 0.0f;
    for (int64_t b = 0; b < args.blocks; ++b) {
      const Vec8 x = Load<Vec8>(args.in + b * args.plane + p * 8);
      Store(Mul(x, x), squares + args.before + b * 8);
    }
  }
  const Vec8 factor = Set<Vec8>(args.factor), k = Set<Vec8>(args.k);
  for (int64_t p = 0; p < args.pixels; ++p) {
    const float* squares = args.squares + p * row;
    for (int64_t b = 0; b < args.blocks; ++b) {
      Vec8 sum = Load<Vec8>(squares + b * 8);
#pragma GCC unroll 8
      for (int64_t t = 1; t < size; ++t) sum = Add(sum, Load<Vec8>(squares + b * 8 + t));
      const Vec8 base = MulAdd(factor, sum, k);
      const int64_t at = b * args.plane + p * 8;
      if (args.threeQuarters) {
        const Vec8 root = Sqrt(base);
        Store(Div(Load<Vec8>(args.in + at), Mul(root, Sqrt(root))), args.out + at);
      } else {
        Store(base, args.out + at);
      }
    }
  }
}

void ResponseNorm(const ResponseNormArgs& args) {
  if (args.size == 5) NormRun<5>(args);
  else NormRun<0>(args);
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
