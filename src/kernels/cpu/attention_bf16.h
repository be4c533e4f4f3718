#pragma once
// Attention of bf16 values on processors that multiply pairs of bf16 (AVX512_BF16, or AMX), in the flash form: a block
// of queries meets the keys a panel at a time, the softmax goes along, nothing is as wide as a row. See
// kernels/attention.h for the arguments. Scores, softmax and sums are fp32; probabilities and the scores' gradients are
// rounded to bf16 for their products.
#include "kernels/attention.h"

#if defined(__x86_64__)
#define LATHE_BF16_PAIRS 1
#else
#define LATHE_BF16_PAIRS 0
#endif

namespace lathe::kernels::bf16_pairs {

/// Whether the functions below exist: they must not be called otherwise, nor on a processor that does not have what
/// they are compiled for.
constexpr bool kCompiled = LATHE_BF16_PAIRS != 0;
[[nodiscard]] bool supported();
/// Whether there are AMX tiles for heads of that size, and the kernel lets this process have them (it is asked once).
[[nodiscard]] bool tiles_supported(int64_t head_dim);

[[nodiscard]] int64_t forward_workspace(const AttentionTask& task);
[[nodiscard]] int64_t backward_workspace(const AttentionTask& task);

/// @param in_tiles products by AMX, which must be there; else by vdpbf16ps
void forward(const AttentionInputs<Bf16>& in, Bf16* out, float* lse, const AttentionTask& task, float* workspace,
             bool in_tiles);
void backward(const AttentionInputs<Bf16>& in, const AttentionResults<Bf16>& of, const AttentionGradientsOf<Bf16>& out,
              const AttentionTask& task, float* workspace, bool in_tiles);

}  // namespace lathe::kernels::bf16_pairs
