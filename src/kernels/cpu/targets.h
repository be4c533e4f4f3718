#pragma once
// Which instruction sets the kernels are compiled for: on x86 the plain fallback, AVX2 and AVX-512 (the gain of others
// would not pay for their compile time), all others whose vectors have a size known when compiling. Include before
// anything of Highway's.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
