// AVX2 and FMA, 8 lanes, 16 registers (Haswell 2013, Zen 2017).
#pragma once
#define XCORR_VEC_8 Vec
#include "avx_8lanes.h"

namespace xcorr::XCORR_ISA {
namespace {
constexpr int kLanes = 8;
using Vec8 = Vec;
}  // namespace
}  // namespace xcorr::XCORR_ISA
