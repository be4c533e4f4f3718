#pragma once
// SwiGLU (Shazeer 2020): silu(gate) · up, elementwise, silu rounded to the inputs' type before the product as in
// transformers' MLP. Single-threaded; safe to call concurrently on disjoint ranges. Outputs may be inputs.
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::kernels {

/// y = silu(gate) · up, count elements each.
void swiglu(const float* gate, const float* up, float* y, int64_t count);
void swiglu(const Bf16* gate, const Bf16* up, Bf16* y, int64_t count);
void swiglu(const F16* gate, const F16* up, F16* y, int64_t count);

/// In place, in one pass: gate becomes dgate = dy · up · silu'(gate), up becomes dup = dy · silu(gate), and dy becomes
/// what forward gave, silu(gate) · up, for the gradient of the weight that reads it.
void swiglu_backward(float* dy, float* gate, float* up, int64_t count);
void swiglu_backward(Bf16* dy, Bf16* gate, Bf16* up, int64_t count);
void swiglu_backward(F16* dy, F16* gate, F16* up, int64_t count);

}  // namespace lathe::kernels
