#pragma once
// Rotary position embedding (Su et al. 2021) in place, the two halves of a head rotated against one another as
// transformers' rotate_half does. Products are rounded to x's type before they are added, as theirs are.
//
// T tokens, N heads, D head dim (even). Single-threaded; safe to call concurrently on disjoint tokens.
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::kernels {

/// @param x [T,N,D] contiguous  @param cos, sin [T,D/2] fp32; for bf16 x they should hold values rounded to bf16
/// @param inverse rotates by the opposite angle: the gradient
void rotary(float* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim,
            bool inverse);
void rotary(Bf16* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim, bool inverse);
void rotary(F16* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim, bool inverse);

}  // namespace lathe::kernels
