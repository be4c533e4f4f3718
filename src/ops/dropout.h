#pragma once
// Dropout whose mask is a function of its key and of the element's index: it is never stored, only drawn again.
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lathe::ops {

/// Names one mask. step, micro_batch, layer and site go into the counter, seed is the key (base/philox.h).
struct DropoutMask {
  uint64_t seed = 0;
  uint32_t step = 0, micro_batch = 0;
  uint16_t layer = 0;
  uint8_t site = 0;
  double probability = 0;  ///< of an element being dropped, in [0, 1); taken to the nearest 65,536th
};

/// x · mask / (1 - probability), a new tensor. x contiguous, fp32|bf16, fewer than 2^42 elements.
[[nodiscard]] at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask);

}  // namespace lathe::ops
