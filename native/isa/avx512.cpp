// AVX-512 F, BW, CD, DQ, VL (Skylake-X 2017, Zen 4 2022).
#if !(defined(__AVX512F__) && defined(__AVX512VL__))
#error "isa/avx512.cpp needs code generation for it: build it through target isa_avx512 in binding.gyp"
#endif
#define XCORR_ISA avx512
#include <stddef.h>
#include <stdint.h>

#include "../kernels/args.h"
#include "../simd/avx512.h"
#include "../kernels/table_instance.h"
