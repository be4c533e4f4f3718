#pragma once
// Attention of bf16 values on processors that multiply pairs of bf16 (AVX512_BF16, or AMX), in the flash form: a block
// of queries meets the keys a panel at a time, the softmax goes along, nothing is as wide as a row. See
// kernels/attention.h for the arguments. Scores, softmax and sums are fp32; probabilities and the scores' gradients are
// rounded to bf16 for their products.
#include "kernels/attention.h"
#include "kernels/cpu/bf16_support.h"

namespace lathe::kernels::bf16_pairs {

/// Tiles hold whole rows of heads of that size.
[[nodiscard]] inline bool fits_tiles(int64_t head_dim) {
  return tiles_supported() && head_dim % 32 == 0;
}

[[nodiscard]] int64_t forward_workspace(const AttentionTask& task);
[[nodiscard]] int64_t backward_workspace(const AttentionTask& task);

/// Only where `supported()`.  @param in_tiles products by AMX, which must be there; else by vdpbf16ps
void forward(const AttentionInputs<Bf16>& in, Bf16* out, float* lse, const AttentionTask& task, float* workspace,
             bool in_tiles);
void backward(const AttentionInputs<Bf16>& in, const AttentionResults<Bf16>& of, const AttentionGradientsOf<Bf16>& out,
              const AttentionTask& task, float* workspace, bool in_tiles);

}  // namespace lathe::kernels::bf16_pairs
