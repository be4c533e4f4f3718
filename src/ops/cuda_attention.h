#pragma once
// Attention on a GPU by ATen's own kernels over rows laid end to end: flash attention (Dao 2023) in bf16, its
// memory-efficient one (Rabe & Staats 2021) in fp32 and for head dims that flash attention has not.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "ops/attention.h"

namespace lathe::ops::cuda {

/// Where rows begin and end, as those kernels take it.
struct RowLengths {
  std::vector<int32_t> queries, keys;  ///< cumulative, from 0: rows + 1
  int64_t longest_queries = 0, longest_keys = 0;
};
/// @throws Error(kInternal) where rows do not lie end to end
[[nodiscard]] RowLengths row_lengths(const std::vector<AttentionRow>& rows);

/// Whether flash attention has this type and head dim.
[[nodiscard]] bool flash_attention_takes(at::ScalarType dtype, int64_t head_dim);

/// As ops::attention and ops::attention_backward; all contiguous, lse as the kernel that is taken lays it out.
[[nodiscard]] at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const std::vector<AttentionRow>& rows, at::Tensor* lse);
[[nodiscard]] AttentionGradients attention_backward(const at::Tensor& dout, const AttentionSaved& saved,
                                                    const std::vector<AttentionRow>& rows);

}  // namespace lathe::ops::cuda
