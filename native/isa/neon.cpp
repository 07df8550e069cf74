// NEON: the baseline of AArch64.
#if !(defined(__ARM_NEON) || defined(_M_ARM64))
#error "isa/neon.cpp needs code generation for it: build it through target isa_neon in binding.gyp"
#endif
#define XCORR_ISA neon
#include <stddef.h>
#include <stdint.h>

#include "../kernels/args.h"
#include "../simd/neon.h"
#include "../kernels/table_instance.h"
