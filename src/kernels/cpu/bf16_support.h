#pragma once
// Which products of bf16 this processor has, asked at run time.

#if defined(__x86_64__)
#define LATHE_BF16_PAIRS 1
#else
#define LATHE_BF16_PAIRS 0
#endif

namespace lathe::kernels::bf16_pairs {

/// Whether anything of this namespace is compiled.
constexpr bool kCompiled = LATHE_BF16_PAIRS != 0;
/// Products of pairs (AVX512_BF16), with the parts of AVX-512 that bf16_pairs.h is compiled for.
[[nodiscard]] bool supported();
/// Besides those, AMX tiles that the kernel lets this process have (it is asked once).
[[nodiscard]] bool tiles_supported();

}  // namespace lathe::kernels::bf16_pairs
