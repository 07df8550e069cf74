// AVX2 and FMA (Haswell 2013, Zen 2017).
#if !(defined(__AVX2__))
#error "isa/avx2.cpp needs code generation for it: build it through target isa_avx2 in binding.gyp"
#endif
#define XCORR_ISA avx2
#include <stddef.h>
#include <stdint.h>

#include "../kernels/args.h"
#include "../simd/avx2.h"
#include "../kernels/table_instance.h"
