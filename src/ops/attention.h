#pragma once
// Causal grouped-query attention over rows laid end to end: no padding, no mask tensor, memory linear in a row's
// length.
//
// T query tokens of all rows, Q query heads, K key/value heads, G = Q/K query heads that share a key/value head, D head
// dim.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lathe::ops {

/// Where one row's queries and keys lie. With more keys than queries the row's first keys come from a cache, and query
/// i sees the keys up to num_keys - num_queries + i.
struct AttentionRow {
  int64_t query_begin = 0, num_queries = 0, key_begin = 0, num_keys = 0;
};

/// softmax(q kᵀ / √D) v, row by row; sums, scores and softmax in fp32.
/// @param q [T,Q,D]  @param k, v [keys,K,D], the same type  @param lse [T,Q] fp32 (on a GPU laid out as its kernel
/// does), what backward needs beside the result; may be null  @returns [T,Q,D]
[[nodiscard]] at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const std::vector<AttentionRow>& rows, at::Tensor* lse = nullptr);

/// What forward read and gave.
struct AttentionSaved {
  at::Tensor q, k, v, out, lse;
};
struct AttentionGradients {
  at::Tensor dq, dk, dv;
};
/// Probabilities are worked out again, a block of queries by some keys at a time.
[[nodiscard]] AttentionGradients attention_backward(const at::Tensor& dout, const AttentionSaved& saved,
                                                    const std::vector<AttentionRow>& rows);

}  // namespace lathe::ops
