#pragma once
#include <cstdint>

namespace lathe::kernels {

/// The bits of a bfloat16; at::BFloat16 and safetensors' BF16 have the same layout.
using Bf16 = uint16_t;

}  // namespace lathe::kernels
