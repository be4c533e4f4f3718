#include "ops/cuda_attention.h"

#include <ATen/ATen.h>
#include <ATen/ops/_efficient_attention_backward.h>
#include <ATen/ops/_efficient_attention_forward.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <lathe/error.h>

#include <algorithm>

namespace lathe::ops::cuda {
namespace {

constexpr int64_t kCausalFromBottomRight = 2;  // of the memory-efficient kernel's mask types

at::Tensor on_device(const std::vector<int32_t>& values, const at::Tensor& like) {
  const at::Tensor here = at::empty({static_cast<int64_t>(values.size())}, at::dtype(at::kInt));
  std::copy(values.begin(), values.end(), here.mutable_data_ptr<int32_t>());
  return here.to(like.device());
}

/// Rows' lengths on the device, next to what only the host needs.
struct Call {
  Call(const at::Tensor& q, const std::vector<AttentionRow>& rows)
      : lengths(row_lengths(rows)), queries(on_device(lengths.queries, q)), keys(on_device(lengths.keys, q)) {}
  RowLengths lengths;
  at::Tensor queries, keys;
};

/// The state of a generator that nothing is drawn from.
at::Tensor no_state(const at::Tensor& like) {
  return at::zeros({2}, like.options().dtype(at::kLong));
}

AttentionGradients flash_backward(const Call& call, const at::Tensor& dout, const AttentionSaved& saved) {
  auto [dq, dk, dv] = at::_flash_attention_backward(
      dout, saved.q, saved.k, saved.v, saved.out, saved.lse, call.queries, call.keys, call.lengths.longest_queries,
      call.lengths.longest_keys, /*dropout_p=*/0, /*is_causal=*/true, no_state(dout), no_state(dout));
  return {dq, dk, dv};
}

/// One key/value head a query head, and the batch dimension that the memory-efficient kernel wants.
at::Tensor spread(const at::Tensor& kv, int64_t group) {
  return (group == 1 ? kv : kv.repeat_interleave(group, 1)).unsqueeze(0);
}

AttentionGradients efficient_backward(const Call& call, const at::Tensor& dout, const AttentionSaved& saved) {
  const at::Tensor &q = saved.q, &k = saved.k;
  const int64_t group = q.size(1) / k.size(1);
  auto [dq, dk, dv, dbias] = at::_efficient_attention_backward(
      dout.unsqueeze(0), q.unsqueeze(0), spread(k, group), spread(saved.v, group), /*bias=*/std::nullopt,
      saved.out.unsqueeze(0), call.queries, call.keys, call.lengths.longest_queries, call.lengths.longest_keys,
      saved.lse,
      /*dropout_p=*/0, no_state(dout), no_state(dout), kCausalFromBottomRight, /*bias_requires_grad=*/false);
  // A shared head's gradient is the sum over the query heads that share it.
  const auto gathered = [&](const at::Tensor& gradient) {
    return gradient.squeeze(0).view({k.size(0), k.size(1), group, k.size(2)}).sum(2);
  };
  return {dq.squeeze(0), gathered(dk), gathered(dv)};
}

}  // namespace

RowLengths row_lengths(const std::vector<AttentionRow>& rows) {
  RowLengths lengths{{0}, {0}};
  for (const AttentionRow& row : rows) {
    LATHE_ASSERT(row.query_begin == lengths.queries.back() && row.key_begin == lengths.keys.back());
    lengths.queries.push_back(static_cast<int32_t>(row.query_begin + row.num_queries));
    lengths.keys.push_back(static_cast<int32_t>(row.key_begin + row.num_keys));
    lengths.longest_queries = std::max(lengths.longest_queries, row.num_queries);
    lengths.longest_keys = std::max(lengths.longest_keys, row.num_keys);
  }
  return lengths;
}

bool flash_attention_takes(at::ScalarType dtype, int64_t head_dim) {
  return dtype == at::kBFloat16 && head_dim % 8 == 0 && head_dim <= 256;
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<AttentionRow>& rows, at::Tensor* lse) {
  const Call call(q, rows);
  const int64_t longest_queries = call.lengths.longest_queries, longest_keys = call.lengths.longest_keys;
  if (flash_attention_takes(q.scalar_type(), q.size(2))) {
    auto [out, log_sums, state, unused, mask] =
        at::_flash_attention_forward(q, k, v, call.queries, call.keys, longest_queries, longest_keys,
                                     /*dropout_p=*/0, /*is_causal=*/true, /*return_debug_mask=*/false);
    if (lse != nullptr) *lse = log_sums;
    return out;
  }
  const int64_t group = q.size(1) / k.size(1);
  auto [out, log_sums, seed, offset, queries_used, keys_used] = at::_efficient_attention_forward(
      q.unsqueeze(0), spread(k, group), spread(v, group), /*bias=*/std::nullopt, call.queries, call.keys,
      longest_queries, longest_keys, /*dropout_p=*/0, kCausalFromBottomRight, /*compute_log_sumexp=*/lse != nullptr);
  if (lse != nullptr) *lse = log_sums;
  return out.squeeze(0);
}

AttentionGradients attention_backward(const at::Tensor& dout, const AttentionSaved& saved,
                                      const std::vector<AttentionRow>& rows) {
  const Call call(saved.q, rows);
  return flash_attention_takes(saved.q.scalar_type(), saved.q.size(2)) ? flash_backward(call, dout, saved)
                                                                       : efficient_backward(call, dout, saved);
}

}  // namespace lathe::ops::cuda
