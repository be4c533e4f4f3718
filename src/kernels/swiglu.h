#pragma once
// SwiGLU (Shazeer 2020): silu(gate) · up, elementwise, silu rounded to the inputs' type before the product as in
// transformers' MLP. Single-threaded; safe to call concurrently on disjoint ranges. Outputs may be inputs.
#include <cstdint>

#include "kernels/bf16.h"

namespace lathe::kernels {

/// y = silu(gate) · up, count elements each.
void swiglu(const float* gate, const float* up, float* y, int64_t count);
void swiglu(const Bf16* gate, const Bf16* up, Bf16* y, int64_t count);

/// dgate = dy · up · silu'(gate), dup = dy · silu(gate).
void swiglu_backward(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t count);
void swiglu_backward(const Bf16* dy, const Bf16* gate, const Bf16* up, Bf16* dgate, Bf16* dup, int64_t count);

}  // namespace lathe::kernels
