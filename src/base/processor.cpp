#include "base/processor.h"

namespace lathe {

bool multiplies(DType dtype) {
#if defined(__x86_64__)
  if (dtype == DType::kBF16) return __builtin_cpu_supports("avx512bf16");
  if (dtype == DType::kF16) return __builtin_cpu_supports("avx512fp16");
#endif
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kBF16;
}

bool multiplies_in_tiles() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("amx-bf16");
#else
  return false;
#endif
}

}  // namespace lathe
