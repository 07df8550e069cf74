// Up to 8 planes to one block of 8 channels, and back: transposes of 8 pixels x 8 channels in registers.
#pragma once

namespace xcorr::XCORR_ISA {
namespace {

// Calls run(p) for groups of 8 pixels that cover all; the last may overlap the one before. False if there are fewer than 8.
template <typename F>
inline bool ForGroups(int64_t pixels, const F& run) {
  if (pixels < 8) return false;
  int64_t p = 0;
  for (; p + 8 <= pixels; p += 8) run(p);
  if (p < pixels) run(pixels - 8);
  return true;
}

// kAll: all lanes exist.
template <bool kAll>
bool GroupsToBlock(const LayoutArgs& args) {
  return ForGroups(args.pixels, [&](int64_t p) {
    Vec8 rows[8];
#pragma GCC unroll 8
    for (int l = 0; l < 8; ++l) rows[l] = kAll || l < args.lanes ? Load<Vec8>(args.in + l * args.plane + p) : Set<Vec8>(0.0f);
    Transpose(rows);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) Store(rows[i], args.out + (p + i) * 8);
  });
}

void PlanesToBlock(const LayoutArgs& args) {
  const bool done = args.lanes == 8 ? GroupsToBlock<true>(args) : GroupsToBlock<false>(args);
  for (int64_t p = 0; !done && p < args.pixels; ++p) {
    for (int l = 0; l < 8; ++l) args.out[p * 8 + l] = l < args.lanes ? args.in[l * args.plane + p] : 0.0f;
  }
}

template <bool kAll>
bool GroupsToPlanes(const LayoutArgs& args) {
  return ForGroups(args.pixels, [&](int64_t p) {
    // Eight places at a time are too many for the processor to foresee. Once for each cache line.
    for (int l = 0; l < 8 && p % 16 == 0; ++l) Prefetch(args.out + l * args.plane + p + args.ahead);
    Vec8 rows[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) rows[i] = Load<Vec8>(args.in + (p + i) * 8);
    Transpose(rows);
#pragma GCC unroll 8
    for (int l = 0; l < 8; ++l) {
      if (kAll || l < args.lanes) Store(rows[l], args.out + l * args.plane + p);
    }
  });
}

void BlockToPlanes(const LayoutArgs& args) {
  const bool done = args.lanes == 8 ? GroupsToPlanes<true>(args) : GroupsToPlanes<false>(args);
  for (int64_t p = 0; !done && p < args.pixels; ++p) {
    for (int l = 0; l < args.lanes; ++l) args.out[l * args.plane + p] = args.in[p * 8 + l];
  }
}

// Sums of 32 numbers in float, those in double: large images lose nothing.
template <bool kSquares>
inline void SumRun(const SumArgs& args) {
  const Vec8 mean = kSquares ? Load<Vec8>(args.mean) : Set<Vec8>(0.0f);
  const auto add = [&](Vec8 sum, Vec8 x) {
    const Vec8 d = Sub(x, mean);
    return kSquares ? MulAdd(d, d, sum) : Add(sum, x);
  };
  double totals[8] = {};
  for (int64_t p = 0; p < args.pixels;) {
    const int64_t end = p + 32 < args.pixels ? p + 32 : args.pixels;
    Vec8 sums[4] = {Set<Vec8>(0.0f), Set<Vec8>(0.0f), Set<Vec8>(0.0f), Set<Vec8>(0.0f)};
    for (; p + 4 <= end; p += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sums[i] = add(sums[i], Load<Vec8>(args.in + (p + i) * 8));
    }
    for (; p < end; ++p) sums[0] = add(sums[0], Load<Vec8>(args.in + p * 8));
    float part[8];
    Store(Add(Add(sums[0], sums[1]), Add(sums[2], sums[3])), part);
    for (int l = 0; l < 8; ++l) totals[l] += static_cast<double>(part[l]);
  }
  for (int l = 0; l < 8; ++l) args.out[l] = totals[l];
}

void SumPixels(const SumArgs& args) { args.mean ? SumRun<true>(args) : SumRun<false>(args); }

void MaxPixels(const MaxArgs& args) {
  constexpr int kStrands = 4;
  Vec8 most[kStrands];
#pragma GCC unroll 4
  for (int i = 0; i < kStrands; ++i) most[i] = Set<Vec8>(-__builtin_inff());
  int64_t p = 0;
  for (; p + kStrands <= args.pixels; p += kStrands) {
#pragma GCC unroll 4
    for (int i = 0; i < kStrands; ++i) most[i] = MaxOrNaN(most[i], Load<Vec8>(args.in + (p + i) * 8));
  }
  for (; p < args.pixels; ++p) most[0] = MaxOrNaN(most[0], Load<Vec8>(args.in + p * 8));
  Store(MaxOrNaN(MaxOrNaN(most[0], most[1]), MaxOrNaN(most[2], most[3])), args.out);
}

// Sums of plain planes that are small enough for sums in float.
void SumPlanes(const SumPlanesArgs& args) {
  const float* in = args.in;
  for (int64_t plane = 0; plane < args.planes; ++plane, in += args.pixels) {
    Vec8 sums[2] = {Set<Vec8>(0.0f), Set<Vec8>(0.0f)};
    int64_t i = 0;
    for (; i + 16 <= args.pixels; i += 16) {
      sums[0] = Add(sums[0], Load<Vec8>(in + i));
      sums[1] = Add(sums[1], Load<Vec8>(in + i + 8));
    }
    if (i + 8 <= args.pixels) {
      sums[0] = Add(sums[0], Load<Vec8>(in + i));
      i += 8;
    }
    float s[8], rest = 0;
    Store(Add(sums[0], sums[1]), s);
    for (; i < args.pixels; ++i) rest += in[i];
    args.out[plane] = (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])) + rest) * args.factor;
  }
}

}  // namespace
}  // namespace xcorr::XCORR_ISA
