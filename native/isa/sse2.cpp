// SSE2: the baseline of x86-64.
#if !(defined(__SSE2__) || defined(_M_X64))
#error "isa/sse2.cpp needs code generation for it: build it through target isa_sse2 in binding.gyp"
#endif
#define XCORR_ISA sse2
#include <stddef.h>
#include <stdint.h>

#include "../kernels/args.h"
#include "../simd/sse2.h"
#include "../kernels/table_instance.h"
