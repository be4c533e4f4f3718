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

/// softmax(q kᵀ / √D) v, row by row; everything between loads and stores in fp32.
/// @param q [T,Q,D]  @param k, v [keys,K,D], the same type  @returns [T,Q,D]
[[nodiscard]] at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const std::vector<AttentionRow>& rows);

struct AttentionGradients {
  at::Tensor dq, dk, dv;
};
/// Probabilities are worked out again, block of queries by block; nothing but q, k and v is needed from forward, for a
/// block always meets all keys of its row that it may see.
[[nodiscard]] AttentionGradients attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v, const std::vector<AttentionRow>& rows);

}  // namespace lathe::ops
