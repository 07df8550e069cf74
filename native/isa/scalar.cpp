// One lane, plain C++.
#if !(1)
#error "isa/scalar.cpp needs code generation for it: build it through target isa_scalar in binding.gyp"
#endif
#define XCORR_ISA scalar
#include <stddef.h>
#include <stdint.h>

#include "../kernels/args.h"
#include "../simd/scalar.h"
#include "../kernels/table_instance.h"
