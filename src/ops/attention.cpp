#include "ops/attention.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/check.h"

namespace lathe::ops {
namespace {

// The query heads of a key/value head are stacked into one product of about this many rows.
constexpr int64_t kStackedRows = 512;

struct Heads {
  int64_t q, kv, group, dim;
  double scale;
};

Heads heads_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  LATHE_EXPECT(q, ({kAny, kAny, kAny}));
  LATHE_EXPECT(k, ({kAny, kAny, q.size(2)}), q.scalar_type());
  LATHE_EXPECT(v, ({k.size(0), k.size(1), q.size(2)}), q.scalar_type());
  LATHE_ASSERT(q.size(1) % k.size(1) == 0);
  return {q.size(1), k.size(1), q.size(1) / k.size(1), q.size(2), 1.0 / std::sqrt(static_cast<double>(q.size(2)))};
}

int64_t block_of(const Heads& heads) {
  return std::max<int64_t>(16, kStackedRows / heads.group);
}

// [b,Q,D] → [K, b·G, D]: query i of head g of a group is row i·G + g.
at::Tensor stack(const at::Tensor& x, const Heads& heads) {
  const int64_t b = x.size(0);
  return x.view({b, heads.kv, heads.group, heads.dim})
      .permute({1, 0, 2, 3})
      .reshape({heads.kv, b * heads.group, heads.dim});
}

// The reverse of stack, into `out` [b,Q,D].
void unstack(const at::Tensor& stacked, const Heads& heads, at::Tensor out) {
  const int64_t b = out.size(0);
  out.view({b, heads.kv, heads.group, heads.dim})
      .copy_(stacked.view({heads.kv, b, heads.group, heads.dim}).permute({1, 0, 2, 3}));
}

// Probabilities [K, b·G, n] fp32 of a block of queries whose first one sees `seen` keys and itself.
at::Tensor probabilities(const at::Tensor& stacked_q, const at::Tensor& keys, int64_t seen, const Heads& heads) {
  const int64_t n = keys.size(1), b = n - seen;
  at::Tensor scores = at::bmm(stacked_q.to(at::kFloat), keys.to(at::kFloat).transpose(1, 2)).mul_(heads.scale);
  if (b > 1) {
    const at::Tensor later =
        at::full({b, b}, -std::numeric_limits<float>::infinity(), scores.options()).triu_(1).unsqueeze(1);
    scores.view({heads.kv, b, heads.group, n}).narrow(3, seen, b).add_(later);
  }
  return at::softmax(scores, -1);
}

// Calls body(first query, number of queries, number of keys seen before the first query) for each block of a row.
template <typename Body>
void for_each_block(const AttentionRow& row, const Heads& heads, const Body& body) {
  const int64_t block = block_of(heads), past = row.num_keys - row.num_queries;
  for (int64_t i = 0; i < row.num_queries; i += block) {
    body(row.query_begin + i, std::min(block, row.num_queries - i), past + i);
  }
}

// [n,K,D] → [K,n,D], a view.
at::Tensor by_head(const at::Tensor& x, int64_t begin, int64_t n) {
  return x.narrow(0, begin, n).permute({1, 0, 2});
}

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<AttentionRow>& rows) {
  const Heads heads = heads_of(q, k, v);
  at::Tensor out = at::empty(q.sizes(), q.options());
  for (const AttentionRow& row : rows) {
    for_each_block(row, heads, [&](int64_t begin, int64_t b, int64_t seen) {
      const at::Tensor p =
          probabilities(stack(q.narrow(0, begin, b), heads), by_head(k, row.key_begin, seen + b), seen, heads);
      unstack(at::bmm(p.to(v.scalar_type()), by_head(v, row.key_begin, seen + b)), heads, out.narrow(0, begin, b));
    });
  }
  return out;
}

AttentionGradients attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                      const at::Tensor& v, const std::vector<AttentionRow>& rows) {
  const Heads heads = heads_of(q, k, v);
  LATHE_EXPECT(dout, ({q.size(0), q.size(1), q.size(2)}), q.scalar_type());
  AttentionGradients grads{at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()),
                           at::empty(v.sizes(), v.options())};
  const auto wide = q.options().dtype(at::kFloat);
  for (const AttentionRow& row : rows) {
    // Blocks of queries add up in fp32: in bf16 a long row's later contributions would be lost.
    at::Tensor dk = at::zeros({heads.kv, row.num_keys, heads.dim}, wide);
    at::Tensor dv = at::zeros({heads.kv, row.num_keys, heads.dim}, wide);
    for_each_block(row, heads, [&](int64_t begin, int64_t b, int64_t seen) {
      const int64_t n = seen + b;
      const at::Tensor stacked_q = stack(q.narrow(0, begin, b), heads);
      const at::Tensor stacked_dout = stack(dout.narrow(0, begin, b), heads);
      const at::Tensor keys = by_head(k, row.key_begin, n), values = by_head(v, row.key_begin, n);
      const at::Tensor p = probabilities(stacked_q, keys, seen, heads);
      dv.narrow(1, 0, n).add_(at::bmm(p.to(v.scalar_type()).transpose(1, 2), stacked_dout));
      const at::Tensor dp = at::bmm(stacked_dout, values.transpose(1, 2)).to(at::kFloat);
      const at::Tensor ds = at::_softmax_backward_data(dp, p, -1, at::kFloat).mul_(heads.scale).to(q.scalar_type());
      unstack(at::bmm(ds, keys), heads, grads.dq.narrow(0, begin, b));
      dk.narrow(1, 0, n).add_(at::bmm(ds.transpose(1, 2), stacked_q));
    });
    by_head(grads.dk, row.key_begin, row.num_keys).copy_(dk);
    by_head(grads.dv, row.key_begin, row.num_keys).copy_(dv);
  }
  return grads;
}

}  // namespace lathe::ops
