#include "ops/attention.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

// One row by torch's own attention. q [n,Q,D], k, v [n,K,D]
at::Tensor by_torch(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto heads_first = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  const at::Tensor out = at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v), {}, 0.0, true,
                                                          std::nullopt, /*enable_gqa=*/true);
  return out.squeeze(0).transpose(0, 1);
}

struct Case {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, dim;
};

// Rows shorter and longer than a block of queries, one token, grouped and not.
const Case kCases[] = {
    {{1}, 1, 1, 8}, {{5, 1, 40}, 4, 2, 16}, {{700, 3}, 2, 2, 8}, {{130, 90}, 14, 2, 4}, {{300}, 6, 1, 8}};

std::vector<AttentionRow> rows_of(const Case& one) {
  std::vector<AttentionRow> rows;
  int64_t begin = 0;
  for (const int64_t n : one.lengths) {
    rows.push_back({begin, n, begin, n});
    begin += n;
  }
  return rows;
}

TEST(AttentionTest, EqualsTorchAndItsAutogradRowByRow) {
  for (const Case& one : kCases) {
    const auto rows = rows_of(one);
    const int64_t tokens = rows.back().query_begin + rows.back().num_queries;
    const at::Tensor q = draw({tokens, one.heads, one.dim}, 1) * 2, k = draw({tokens, one.kv_heads, one.dim}, 2) * 2;
    const at::Tensor v = draw({tokens, one.kv_heads, one.dim}, 3), dout = draw({tokens, one.heads, one.dim}, 4);
    at::Tensor lse;
    const at::Tensor out = attention(q, k, v, rows, &lse);
    const AttentionGradients grads = attention_backward(dout, {q, k, v, out, lse}, rows);
    for (const AttentionRow& row : rows) {
      const auto part = [&](const at::Tensor& x) { return x.narrow(0, row.query_begin, row.num_queries); };
      const std::vector<at::Tensor> inputs = {part(q).to(at::kDouble), part(k).to(at::kDouble),
                                              part(v).to(at::kDouble)};
      EXPECT_LE(relative(part(out), by_torch(inputs[0], inputs[1], inputs[2])), 2e-6);
      const auto theirs = testing::autograd_gradients([](const auto& in) { return by_torch(in[0], in[1], in[2]); },
                                                      inputs, part(dout).to(at::kDouble));
      if (row.num_queries > 1) {  // one token attends to itself alone: q and k have no gradient
        EXPECT_LE(relative(part(grads.dq), theirs[0]), 1e-5);
        EXPECT_LE(relative(part(grads.dk), theirs[1]), 1e-5);
      }
      EXPECT_LE(relative(part(grads.dv), theirs[2]), 1e-5);
    }
  }
}

AttentionGradients both_ways(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const std::vector<AttentionRow>& rows, at::Tensor* out) {
  at::Tensor lse;
  *out = attention(q, k, v, rows, &lse);
  return attention_backward(dout, {q, k, v, *out, lse}, rows);
}

TEST(AttentionTest, Bf16IsWithinItsRounding) {
  const Case& one = kCases[3];
  const auto rows = rows_of(one);
  const at::Tensor q = draw({220, 14, 4}, 1, at::kBFloat16), k = draw({220, 2, 4}, 2, at::kBFloat16);
  const at::Tensor v = draw({220, 2, 4}, 3, at::kBFloat16), dout = draw({220, 14, 4}, 4, at::kBFloat16);
  const auto wide = [](const at::Tensor& x) { return x.to(at::kFloat); };
  at::Tensor out, exact_out;
  const AttentionGradients ours = both_ways(dout, q, k, v, rows, &out);
  const AttentionGradients exact = both_ways(wide(dout), wide(q), wide(k), wide(v), rows, &exact_out);
  EXPECT_LE(relative(out, exact_out), 5e-3);
  EXPECT_LE(relative(ours.dq, exact.dq), 1e-2);
  EXPECT_LE(relative(ours.dk, exact.dk), 1e-2);
  EXPECT_LE(relative(ours.dv, exact.dv), 1e-2);
}

TEST(AttentionTest, ThreadsLeaveNoTrace) {
  const std::vector<AttentionRow> rows = {{0, 9, 0, 9}, {9, 150, 9, 150}, {159, 61, 159, 61}};
  const at::Tensor q = draw({220, 6, 16}, 1, at::kBFloat16), k = draw({220, 2, 16}, 2, at::kBFloat16);
  const int before = at::get_num_threads();
  std::vector<at::Tensor> results;
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    at::Tensor out;
    const AttentionGradients grads = both_ways(q, q, k, k, rows, &out);
    results.push_back(at::cat({out.flatten(), grads.dq.flatten(), grads.dk.flatten(), grads.dv.flatten()}));
  }
  at::set_num_threads(before);
  EXPECT_TRUE(results[0].equal(results[1]));
}

TEST(AttentionTest, KeysFromACacheGiveTheSameAsTheWholeRow) {
  const at::Tensor q = draw({50, 4, 8}, 1), k = draw({50, 2, 8}, 2), v = draw({50, 2, 8}, 3);
  const at::Tensor whole = attention(q, k, v, {{0, 50, 0, 50}});
  const at::Tensor tail = attention(q.narrow(0, 43, 7).contiguous(), k, v, {{0, 7, 0, 50}});
  EXPECT_LE(relative(tail, whole.narrow(0, 43, 7)), 1e-6);
}

}  // namespace
}  // namespace lathe::ops
