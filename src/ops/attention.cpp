#include "ops/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <lathe/error.h>

#include <algorithm>

#include "base/memory_ledger.h"
#include "kernels/attention.h"
#include "ops/check.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

/// One row and one key/value head: what a thread takes at a time.
struct Work {
  const std::vector<AttentionRow>& rows;
  int64_t q_heads, kv_heads, dim;

  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(rows.size()) * kv_heads; }
  // Head by head, so that threads which share the tasks out evenly get as many long rows as short ones.
  [[nodiscard]] const AttentionRow& row(int64_t index) const {
    return rows[static_cast<size_t>(index % static_cast<int64_t>(rows.size()))];
  }
  [[nodiscard]] int64_t head(int64_t index) const { return index / static_cast<int64_t>(rows.size()); }
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
  /// Where a task's first element lies in a tensor of queries, or of keys.
  [[nodiscard]] int64_t q_at(int64_t index) const {
    return (row(index).query_begin * q_heads + head(index) * group()) * dim;
  }
  [[nodiscard]] int64_t kv_at(int64_t index) const { return (row(index).key_begin * kv_heads + head(index)) * dim; }
};

Work work_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::vector<AttentionRow>& rows) {
  LATHE_EXPECT(q, ({kAny, kAny, kAny}));
  LATHE_EXPECT(k, ({kAny, kAny, q.size(2)}), q.scalar_type());
  LATHE_EXPECT(v, ({k.size(0), k.size(1), q.size(2)}), q.scalar_type());
  LATHE_ASSERT(q.size(1) % k.size(1) == 0);
  return {rows, q.size(1), k.size(1), q.size(2)};
}

/// body(task's number, task, its workspace) on all threads.
template <typename Size, typename Body>
void for_each_task(const Work& work, const Size& workspace_of, const Body& body) {
  const MemoryClass memory_class = MemoryScope::current();
  at::parallel_for(0, work.count(), 1, [&](int64_t begin, int64_t end) {
    const MemoryScope scope(memory_class);
    int64_t floats = 0;
    for (int64_t i = begin; i < end; ++i) floats = std::max(floats, workspace_of(work.task(i)));
    const at::Tensor workspace = at::empty({floats}, at::dtype(at::kFloat));
    for (int64_t i = begin; i < end; ++i) body(i, work.task(i), mutable_elements<float>(workspace));
  });
}

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<AttentionRow>& rows) {
  const ProfileScope profiled(ProfileKind::kOp, "attention");
  const Work work = work_of(q, k, v, rows);
  const at::Tensor queries = q.contiguous(), keys = k.contiguous(), values = v.contiguous();
  at::Tensor out = at::empty_like(queries);
  with_elements(q, [&](auto element) {
    using T = decltype(element);
    for_each_task(work, kernels::attention_workspace, [&](int64_t i, const kernels::AttentionTask& task, float* space) {
      kernels::attention(elements<T>(queries) + work.q_at(i), elements<T>(keys) + work.kv_at(i),
                         elements<T>(values) + work.kv_at(i), mutable_elements<T>(out) + work.q_at(i), task, space);
    });
  });
  return out;
}

AttentionGradients attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                      const at::Tensor& v, const std::vector<AttentionRow>& rows) {
  const ProfileScope profiled(ProfileKind::kOp, "attention backward");
  const Work work = work_of(q, k, v, rows);
  LATHE_EXPECT(dout, ({q.size(0), q.size(1), q.size(2)}), q.scalar_type());
  const at::Tensor from = dout.contiguous(), queries = q.contiguous(), keys = k.contiguous(), values = v.contiguous();
  AttentionGradients grads{at::empty_like(queries), at::empty_like(keys), at::empty_like(values)};
  with_elements(q, [&](auto element) {
    using T = decltype(element);
    for_each_task(
        work, kernels::attention_backward_workspace, [&](int64_t i, const kernels::AttentionTask& task, float* space) {
          const int64_t at = work.q_at(i), kv_at = work.kv_at(i);
          kernels::attention_backward(elements<T>(from) + at, elements<T>(queries) + at, elements<T>(keys) + kv_at,
                                      elements<T>(values) + kv_at,
                                      {mutable_elements<T>(grads.dq) + at, mutable_elements<T>(grads.dk) + kv_at,
                                       mutable_elements<T>(grads.dv) + kv_at},
                                      task, space);
        });
  });
  return grads;
}

}  // namespace lathe::ops
