#include "ops/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <lathe/error.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/memory_ledger.h"
#include "kernels/attention.h"
#include "ops/check.h"
#include "ops/cuda_attention.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

/// One row and one key/value head: what a thread takes at a time.
struct Work {
  std::vector<AttentionRow> rows;  ///< longest first
  int64_t q_heads, kv_heads, dim;

  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(rows.size()) * kv_heads; }
  [[nodiscard]] const AttentionRow& row(int64_t index) const { return rows[static_cast<size_t>(index / kv_heads)]; }
  [[nodiscard]] int64_t head(int64_t index) const { return index % kv_heads; }
  [[nodiscard]] int64_t group() const { return q_heads / kv_heads; }
  [[nodiscard]] kernels::AttentionTask task(int64_t index) const {
    const AttentionRow& of = row(index);
    return {.num_queries = of.num_queries,
            .num_keys = of.num_keys,
            .group = group(),
            .head_dim = dim,
            .q_stride = q_heads * dim,
            .kv_stride = kv_heads * dim};
  }
  /// Where a task's first element lies in a tensor of queries, of log-sum-exps, of keys.
  [[nodiscard]] int64_t q_at(int64_t index) const { return lse_at(index) * dim; }
  [[nodiscard]] int64_t lse_at(int64_t index) const { return row(index).query_begin * q_heads + head(index) * group(); }
  [[nodiscard]] int64_t kv_at(int64_t index) const { return (row(index).key_begin * kv_heads + head(index)) * dim; }
};

Work work_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::vector<AttentionRow>& rows) {
  LATHE_EXPECT(q, ({kAny, kAny, kAny}));
  LATHE_EXPECT(k, ({kAny, kAny, q.size(2)}), q.scalar_type());
  LATHE_EXPECT(v, ({k.size(0), k.size(1), q.size(2)}), q.scalar_type());
  LATHE_ASSERT(q.size(1) % k.size(1) == 0);
  std::vector<AttentionRow> longest_first = rows;
  const auto products = [](const AttentionRow& row) { return row.num_queries * row.num_keys; };
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](const AttentionRow& a, const AttentionRow& b) { return products(a) > products(b); });
  return {std::move(longest_first), q.size(1), k.size(1), q.size(2)};
}

/// Rows in pieces of so many queries, each with the keys it sees: threads end together although rows differ in length
/// and heads are few. A whole number of the kernels' blocks of queries.
std::vector<AttentionRow> in_pieces(const std::vector<AttentionRow>& rows) {
  constexpr int64_t kQueries = 480;
  std::vector<AttentionRow> pieces;
  for (const AttentionRow& row : rows) {
    const int64_t past = row.num_keys - row.num_queries;
    for (int64_t first = 0; first < row.num_queries; first += kQueries) {
      const int64_t count = std::min(kQueries, row.num_queries - first);
      pieces.push_back({row.query_begin + first, count, row.key_begin, past + first + count});
    }
  }
  return pieces;
}

/// body(task's number, task, its workspace) on all threads. Each takes the longest task that is left: rows differ by
/// far more than even shares would bear. Which thread had a task leaves no trace in its result.
template <typename Size, typename Body>
void for_each_task(const Work& work, const Size& workspace_of, const Body& body) {
  const MemoryClass memory_class = MemoryScope::current();
  int64_t floats = 0;
  for (int64_t i = 0; i < work.count(); ++i) floats = std::max(floats, workspace_of(work.task(i)));
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, std::min<int64_t>(at::get_num_threads(), work.count()), 1, [&](int64_t, int64_t) {
    const MemoryScope scope(memory_class);
    at::Tensor workspace;
    for (int64_t i = next++; i < work.count(); i = next++) {
      if (!workspace.defined()) workspace = at::empty({floats}, at::dtype(at::kFloat));
      body(i, work.task(i), mutable_elements<float>(workspace));
    }
  });
}

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<AttentionRow>& rows, at::Tensor* lse) {
  const ProfileScope profiled(ProfileKind::kOp, "attention");
  const Work work = work_of(q, k, v, in_pieces(rows));
  const at::Tensor queries = q.contiguous(), keys = k.contiguous(), values = v.contiguous();
  if (queries.is_cuda()) return cuda::attention(queries, keys, values, rows, lse);
  at::Tensor out = at::empty_like(queries);
  if (lse != nullptr) *lse = at::empty({q.size(0), q.size(1)}, at::dtype(at::kFloat));
  with_elements(q, [&](auto element) {
    using T = decltype(element);
    for_each_task(work, kernels::attention_workspace<T>,
                  [&](int64_t i, const kernels::AttentionTask& task, float* space) {
                    float* sums = lse == nullptr ? nullptr : mutable_elements<float>(*lse) + work.lse_at(i);
                    kernels::attention<T>({elements<T>(queries) + work.q_at(i), elements<T>(keys) + work.kv_at(i),
                                           elements<T>(values) + work.kv_at(i)},
                                          mutable_elements<T>(out) + work.q_at(i), sums, task, space);
                  });
  });
  return out;
}

AttentionGradients attention_backward(const at::Tensor& dout, const AttentionSaved& saved,
                                      const std::vector<AttentionRow>& rows) {
  const ProfileScope profiled(ProfileKind::kOp, "attention backward");
  if (saved.q.is_cuda()) {
    return cuda::attention_backward(
        dout.contiguous(), {saved.q.contiguous(), saved.k.contiguous(), saved.v.contiguous(), saved.out, saved.lse},
        rows);
  }
  const Work work = work_of(saved.q, saved.k, saved.v, rows);
  const int64_t tokens = saved.q.size(0);
  LATHE_EXPECT(dout, ({tokens, work.q_heads, work.dim}), saved.q.scalar_type());
  LATHE_EXPECT(saved.out, ({tokens, work.q_heads, work.dim}), saved.q.scalar_type());
  LATHE_EXPECT(saved.lse, ({tokens, work.q_heads}), at::kFloat);
  const at::Tensor from = dout.contiguous(), out = saved.out.contiguous(), lse = saved.lse.contiguous();
  const at::Tensor queries = saved.q.contiguous(), keys = saved.k.contiguous(), values = saved.v.contiguous();
  AttentionGradients grads{at::empty_like(queries), at::empty_like(keys), at::empty_like(values)};
  with_elements(saved.q, [&](auto element) {
    using T = decltype(element);
    for_each_task(work, kernels::attention_backward_workspace<T>,
                  [&](int64_t i, const kernels::AttentionTask& task, float* space) {
                    const int64_t at = work.q_at(i), kv_at = work.kv_at(i);
                    kernels::attention_backward<T>(
                        {elements<T>(queries) + at, elements<T>(keys) + kv_at, elements<T>(values) + kv_at},
                        {elements<T>(from) + at, elements<T>(out) + at, elements<float>(lse) + work.lse_at(i)},
                        {mutable_elements<T>(grads.dq) + at, mutable_elements<T>(grads.dk) + kv_at,
                         mutable_elements<T>(grads.dv) + kv_at},
                        task, space);
                  });
  });
  return grads;
}

}  // namespace lathe::ops
