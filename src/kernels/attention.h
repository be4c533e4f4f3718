#pragma once
// Causal attention of one row and one key/value head, with the query heads that share it. Everything in fp32 between
// loads and stores; a block of queries meets all the keys it may see at once, so nothing of length × length exists and
// backward needs nothing from forward but q, k and v.
//
// D head dim. Single-threaded; safe to call concurrently on other rows or heads. Nothing is allocated. NaN and infinity
// reach the results.
#include <cstdint>

#include "kernels/bf16.h"

namespace lathe::kernels {

/// With more keys than queries the row's first keys come from a cache: query i sees keys up to num_keys - num_queries +
/// i.
struct AttentionTask {
  int64_t num_queries = 0, num_keys = 0;
  int64_t group = 1;  ///< query heads, next to one another
  int64_t head_dim = 0;
  int64_t q_stride = 0, kv_stride = 0;  ///< elements from one token to the next, in q and out, in k and v
};

/// Floats that a call needs beside its arguments.
[[nodiscard]] int64_t attention_workspace(const AttentionTask& task);
[[nodiscard]] int64_t attention_backward_workspace(const AttentionTask& task);

/// out = softmax(q kᵀ / √D) v. q and out point to the first head of the group.
void attention(const float* q, const float* k, const float* v, float* out, const AttentionTask& task, float* workspace);
void attention(const Bf16* q, const Bf16* k, const Bf16* v, Bf16* out, const AttentionTask& task, float* workspace);

template <typename T>
struct AttentionGradientsOf {
  T *dq, *dk, *dv;  ///< out; with the strides of q, k and v
};

void attention_backward(const float* dout, const float* q, const float* k, const float* v,
                        const AttentionGradientsOf<float>& out, const AttentionTask& task, float* workspace);
void attention_backward(const Bf16* dout, const Bf16* q, const Bf16* k, const Bf16* v,
                        const AttentionGradientsOf<Bf16>& out, const AttentionTask& task, float* workspace);

}  // namespace lathe::kernels
