#pragma once
// Causal attention of one row and one key/value head, with the query heads that share it. Sums, scores and softmax are
// fp32; nothing of length × length exists, and backward needs nothing from forward beside its result but one number a
// query and head. Where the processor multiplies pairs of bf16 (AVX512_BF16), bf16 values stay bf16: probabilities and
// the scores' gradients are rounded to bf16 for their products, as flash attention does. Elsewhere, and in fp16, values
// become fp32.
//
// D head dim, S query tokens of the row, G query heads of the group. Single-threaded; safe to call concurrently on
// other rows or heads. Nothing is allocated. NaN and infinity reach the results.
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::kernels {

/// With more keys than queries the row's first keys come from a cache: query i sees keys up to num_keys - num_queries +
/// i.
struct AttentionTask {
  int64_t num_queries = 0, num_keys = 0;
  int64_t group = 1;  ///< query heads, next to one another
  int64_t head_dim = 0;
  int64_t q_stride = 0, kv_stride = 0;  ///< elements from one token to the next, in q and out, in k and v
};

template <typename T>
struct AttentionInputs {
  const T *q, *k, *v;  ///< q points to the first head of the group
};

/// Forward's result and its gradient, with the strides of q, and log Σ exp(scores) of each query and head: query i,
/// head h at [i · q_stride/D + h].
template <typename T>
struct AttentionResults {
  const T *dout, *out;
  const float* lse;
};

template <typename T>
struct AttentionGradientsOf {
  T *dq, *dk, *dv;  ///< out; with the strides of q, k and v
};

/// Floats that a call needs beside its arguments.
template <typename T>
[[nodiscard]] int64_t attention_workspace(const AttentionTask& task);
template <typename T>
[[nodiscard]] int64_t attention_backward_workspace(const AttentionTask& task);

/// out = softmax(q kᵀ / √D) v, for T float, Bf16 and F16. @param lse may be null
template <typename T>
void attention(const AttentionInputs<T>& in, T* out, float* lse, const AttentionTask& task, float* workspace);
template <typename T>
void attention_backward(const AttentionInputs<T>& in, const AttentionResults<T>& of, const AttentionGradientsOf<T>& out,
                        const AttentionTask& task, float* workspace);

}  // namespace lathe::kernels
