#pragma once
#include <cstdint>

namespace lathe::kernels {

/// The bits of an IEEE half; at::Half and safetensors' F16 have the same layout. A type of its own: Bf16 has 16 bits
/// too.
struct F16 {
  uint16_t bits = 0;
  friend bool operator==(const F16&, const F16&) = default;
};

}  // namespace lathe::kernels
