// A block of 8 channels out of channels of other blocks, of these or other pixels: parts that do not begin or end at blocks, shuffles.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

#if defined(__AVX2__)
// kSources: 0: only known at run time.
template <int kSources>
inline void PickRun(const PickArgs& args) {
  const int sources = kSources ? kSources : args.sources;
  // Copies, which no store can change: they would be read again for each pixel.
  const float* in[8];
  int32_t lanes[8 * 8];
  for (int s = 0; s < sources; ++s) in[s] = args.in[s];
  for (int l = 0; l < sources * 8; ++l) lanes[l] = args.lanes[l];
  float* out = args.out;
  const int64_t pixels = args.pixels;
  const ptrdiff_t inPixel = args.inPixel, outPixel = args.outPixel;
  ptrdiff_t from = 0;
  for (int64_t p = 0; p < pixels; ++p, from += inPixel, out += outPixel) {
    Vec8 y = Set<Vec8>(0.0f);
#pragma GCC unroll 8
    for (int s = 0; s < sources; ++s) y = Pick(Load<Vec8>(in[s] + from), lanes + s * 8, y);
    Store(y, out);
  }
}

void PickChannels(const PickArgs& args) {
  switch (args.sources) {
    case 1: return PickRun<1>(args);
    case 2: return PickRun<2>(args);
    case 3: return PickRun<3>(args);
    case 4: return PickRun<4>(args);
    default: return PickRun<0>(args);
  }
}
#else
void PickChannels(const PickArgs& args) {
  for (int l = 0; l < 8; ++l) {
    float* out = args.out + l;
    int s = 0;
    while (s < args.sources && args.lanes[s * 8 + l] < 0) ++s;
    if (s == args.sources) {
      for (int64_t p = 0; p < args.pixels; ++p) out[p * args.outPixel] = 0.0f;
      continue;
    }
    const float* in = args.in[s] + args.lanes[s * 8 + l];
    for (int64_t p = 0; p < args.pixels; ++p) out[p * args.outPixel] = in[p * args.inPixel];
  }
}
#endif

}  // namespace
}  // namespace xcorr::XCORR_ISA
