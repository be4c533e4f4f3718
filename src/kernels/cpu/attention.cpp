#include "kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/attention_bf16.h"
#include "kernels/cpu/targets.h"
#include "kernels/rounded_up.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product-inl.h"

#ifndef LATHE_KERNELS_CPU_ATTENTION_ONCE_
#define LATHE_KERNELS_CPU_ATTENTION_ONCE_
namespace lathe::kernels {

constexpr int64_t kQueryBlock = 48;  // queries whose scores exist at once, a multiple of the tile's rows
constexpr int64_t kPadding = 16;     // floats of the widest vector: rows of the workspace are whole vectors
constexpr int64_t kWidestStrip = 64;

inline int64_t padded(int64_t count) {
  return rounded_up(count, kPadding);
}
/// So many columns in strips of any target.
inline int64_t in_strips(int64_t count) {
  return count < kWidestStrip ? padded(count) : rounded_up(count, kWidestStrip);
}
/// From one query's scores to the next: an odd number of lines, for rows a power of two apart would meet in the same
/// lines of the cache.
inline int64_t score_row_of(int64_t keys) {
  return ((padded(keys) / kPadding) | 1) * kPadding;
}

/// Pieces of one workspace, handed out in order.
class Pieces {
 public:
  explicit Pieces(float* begin) : next_(begin) {}
  float* take(int64_t rows, int64_t columns) {
    float* piece = next_;
    next_ += rows * columns;
    return piece;
  }

 private:
  float* next_;
};

}  // namespace lathe::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

static_assert(kStrip <= kWidestStrip);

/// `count` tokens of one head, [count, row] fp32, zero behind D.
template <typename T>
void widen(const T* from, int64_t stride, int64_t count, int64_t dim, float scale, float* to, int64_t row) {
  const V factor = hn::Set(D(), scale);
  for (int64_t i = 0; i < count; ++i) {
    std::fill(to + i * row + dim, to + (i + 1) * row, 0.0F);
    for_each_vector(dim, [&](int64_t at, auto part) HWY_ATTR {
      store(hn::Mul(load(from + i * stride + at, part), factor), to + i * row + at, part);
    });
  }
}

/// Strips of a factor with so many columns; a narrow one has no columns to spare.
int64_t strip_of(int64_t columns) {
  return std::min(kStrip, padded(columns));
}
Strips strips(const float* data, int64_t rows, int64_t columns) {
  return {data, strip_of(columns), rows * strip_of(columns)};
}

/// [count, D] → strips of D, zero behind it.
template <typename T>
void widen_to_strips(const T* from, int64_t stride, int64_t count, int64_t dim, float* to) {
  const int64_t strip = strip_of(dim);
  for (int64_t first = 0; first < dim; first += strip) {
    widen(from + first, stride, count, std::min(strip, dim - first), 1, to + first * count, strip);
  }
}

/// Strips of [count, D] → strips of [D, count], zero behind count.
void turn_strips(const float* from, int64_t count, int64_t dim, float* to) {
  const int64_t strip = strip_of(dim), turned = strip_of(count);
  for (int64_t token = 0; token < count; token += turned, to += dim * turned) {
    const int64_t tokens = std::min(turned, count - token);
    for (int64_t d = 0; d < dim; ++d) {
      const float* column = from + d / strip * count * strip + token * strip + d % strip;
      for (int64_t i = 0; i < tokens; ++i) to[d * turned + i] = column[i * strip];
      std::fill(to + d * turned + tokens, to + (d + 1) * turned, 0.0F);
    }
  }
}

template <typename T>
void narrow(const float* from, int64_t stride, int64_t count, int64_t dim, float scale, T* to) {
  const V factor = hn::Set(D(), scale);
  const int64_t row = padded(dim);
  for (int64_t i = 0; i < count; ++i) {
    for_each_vector(dim, [&](int64_t at, auto part) HWY_ATTR {
      store(hn::Mul(load(from + i * row + at, part), factor), to + i * stride + at, part);
    });
  }
}

/// The first `seen` scores become probabilities, those behind them zero. @returns log Σ e^score
float softmax(float* scores, int64_t seen, int64_t width) {
  const D d;
  V highest = hn::Set(d, scores[0]);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= seen; i += lanes) highest = hn::Max(highest, hn::LoadU(d, scores + i));
  float top = hn::GetLane(hn::MaxOfLanes(d, highest));
  for (; i < seen; ++i) top = std::max(top, scores[i]);
  const V shift = hn::Set(d, top);
  for_each_vector(seen, [&](int64_t at, auto part)
                            HWY_ATTR { store(exp(hn::Sub(load(scores + at, part), shift)), scores + at, part); });
  std::fill(scores + seen, scores + width, 0.0F);
  const float sum = sum_of(seen, [&](int64_t at, auto part) HWY_ATTR { return load(scores + at, part); });
  const V share = hn::Set(d, 1.0F / sum);
  for_each_vector(
      seen, [&](int64_t at, auto part) HWY_ATTR { store(hn::Mul(load(scores + at, part), share), scores + at, part); });
  return top + std::log(sum);
}

/// probabilities ∘ (dp - Σ probabilities ∘ dp) of those seen, into dp; zero behind them.
void softmax_backward(const float* probabilities, float* dp, int64_t seen, int64_t width) {
  const float along = sum_of(seen, [&](int64_t at, auto part) HWY_ATTR {
    return hn::Mul(load(probabilities + at, part), load(dp + at, part));
  });
  const V mean = hn::Set(D(), along);
  for_each_vector(seen, [&](int64_t at, auto part) HWY_ATTR {
    store(hn::Mul(load(probabilities + at, part), hn::Sub(load(dp + at, part), mean)), dp + at, part);
  });
  std::fill(dp + seen, dp + width, 0.0F);
}

/// A block of queries of one head.
struct Block {
  int64_t first, count, keys;  ///< keys: those that its last query sees
  int64_t width;               ///< padded(keys)
  [[nodiscard]] int64_t seen(int64_t query) const { return keys - count + query + 1; }
};

template <typename Body>
HWY_INLINE void for_each_block(const AttentionTask& task, Body body) {
  const int64_t past = task.num_keys - task.num_queries;
  for (int64_t first = 0; first < task.num_queries; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, task.num_queries - first), keys = past + first + count;
    body(Block{first, count, keys, padded(keys)});
  }
}

/// @param lse of the block's first query, or null
void probabilities(const float* queries, const float* keys_by_column, const Block& block, const AttentionTask& task,
                   float* scores, int64_t score_row, float* lse) {
  const int64_t lse_row = task.q_stride / task.head_dim;
  product({queries, padded(task.head_dim), 1}, strips(keys_by_column, task.head_dim, task.num_keys), scores, score_row,
          block.count, block.keys, task.head_dim, false);
  for (int64_t i = 0; i < block.count; ++i) {
    const float sum = softmax(scores + i * score_row, block.seen(i), block.width);
    if (lse != nullptr) lse[i * lse_row] = sum;
  }
}

template <typename T>
void forward(const AttentionInputs<T>& in, T* out, float* lse, const AttentionTask& task, float* workspace) {
  const int64_t dim = task.head_dim, row = padded(dim), keys = task.num_keys, score_row = score_row_of(keys);
  Pieces pieces(workspace);
  float* values = pieces.take(keys, in_strips(dim));
  float* keys_by_column = pieces.take(dim, in_strips(keys));
  float* scores = pieces.take(kQueryBlock, score_row);
  float* queries = pieces.take(kQueryBlock, row);
  float* result = pieces.take(kQueryBlock, row);
  widen_to_strips(in.k, task.kv_stride, keys, dim, values);  // until the keys lie by column
  turn_strips(values, keys, dim, keys_by_column);
  widen_to_strips(in.v, task.kv_stride, keys, dim, values);
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
  for (int64_t head = 0; head < task.group; ++head) {
    for_each_block(task, [&](const Block& block) HWY_ATTR {
      const int64_t at = block.first * task.q_stride + head * dim;
      widen(in.q + at, task.q_stride, block.count, dim, scale, queries, row);
      float* sums = lse == nullptr ? nullptr : lse + block.first * (task.q_stride / dim) + head;
      probabilities(queries, keys_by_column, block, task, scores, score_row, sums);
      product({scores, score_row, 1}, strips(values, keys, dim), result, row, block.count, dim, block.keys, false);
      narrow(result, task.q_stride, block.count, dim, 1, out + at);
    });
  }
}

template <typename T>
void backward(const AttentionInputs<T>& in, const T* dout, const AttentionGradientsOf<T>& out,
              const AttentionTask& task, float* workspace) {
  const int64_t dim = task.head_dim, row = padded(dim), keys = task.num_keys, score_row = score_row_of(keys);
  Pieces pieces(workspace);
  float* wide_keys = pieces.take(keys, in_strips(dim));
  float* keys_by_column = pieces.take(dim, in_strips(keys));
  float* values_by_column = pieces.take(dim, in_strips(keys));
  float* dkeys = pieces.take(keys, row);
  float* dvalues = pieces.take(keys, row);
  float* scores = pieces.take(kQueryBlock, score_row);
  float* dscores = pieces.take(kQueryBlock, score_row);
  float* queries = pieces.take(kQueryBlock, row);
  float* doutputs = pieces.take(kQueryBlock, row);
  float* dqueries = pieces.take(kQueryBlock, row);
  widen_to_strips(in.v, task.kv_stride, keys, dim, wide_keys);  // until the values lie by column
  turn_strips(wide_keys, keys, dim, values_by_column);
  widen_to_strips(in.k, task.kv_stride, keys, dim, wide_keys);
  turn_strips(wide_keys, keys, dim, keys_by_column);
  std::fill(dkeys, dkeys + keys * row, 0.0F);
  std::fill(dvalues, dvalues + keys * row, 0.0F);
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
  for (int64_t head = 0; head < task.group; ++head) {
    for_each_block(task, [&](const Block& block) HWY_ATTR {
      const int64_t at = block.first * task.q_stride + head * dim;
      widen(in.q + at, task.q_stride, block.count, dim, scale, queries, row);
      widen(dout + at, task.q_stride, block.count, dim, 1, doutputs, row);
      probabilities(queries, keys_by_column, block, task, scores, score_row, nullptr);
      product({scores, 1, score_row}, {doutputs, row, kStrip}, dvalues, row, block.keys, dim, block.count, true);
      product({doutputs, row, 1}, strips(values_by_column, dim, keys), dscores, score_row, block.count, block.keys, dim,
              false);
      for (int64_t i = 0; i < block.count; ++i) {
        softmax_backward(scores + i * score_row, dscores + i * score_row, block.seen(i), block.width);
      }
      product({dscores, 1, score_row}, {queries, row, kStrip}, dkeys, row, block.keys, dim, block.count, true);
      product({dscores, score_row, 1}, strips(wide_keys, keys, dim), dqueries, row, block.count, dim, block.keys,
              false);
      narrow(dqueries, task.q_stride, block.count, dim, scale, out.dq + at);
    });
  }
  narrow(dkeys, task.kv_stride, keys, dim, 1, out.dk);
  narrow(dvalues, task.kv_stride, keys, dim, 1, out.dv);
}

/// The instruction set that dispatch chose; the better, the smaller. Highway's own question asks the processor each
/// time, which a virtual machine's host has to answer.
int64_t chosen_target() {
  return HWY_TARGET;
}

void attention_f32(const AttentionInputs<float>& in, float* out, float* lse, const AttentionTask& task,
                   float* workspace) {
  forward(in, out, lse, task, workspace);
}
void attention_bf16(const AttentionInputs<Bf16>& in, Bf16* out, float* lse, const AttentionTask& task,
                    float* workspace) {
  forward(in, out, lse, task, workspace);
}
void attention_f16(const AttentionInputs<F16>& in, F16* out, float* lse, const AttentionTask& task, float* workspace) {
  forward(in, out, lse, task, workspace);
}
void attention_backward_f32(const AttentionInputs<float>& in, const float* dout, const AttentionGradientsOf<float>& out,
                            const AttentionTask& task, float* workspace) {
  backward(in, dout, out, task, workspace);
}
void attention_backward_bf16(const AttentionInputs<Bf16>& in, const Bf16* dout, const AttentionGradientsOf<Bf16>& out,
                             const AttentionTask& task, float* workspace) {
  backward(in, dout, out, task, workspace);
}
void attention_backward_f16(const AttentionInputs<F16>& in, const F16* dout, const AttentionGradientsOf<F16>& out,
                            const AttentionTask& task, float* workspace) {
  backward(in, dout, out, task, workspace);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(chosen_target);
HWY_EXPORT(attention_f32);
HWY_EXPORT(attention_bf16);
HWY_EXPORT(attention_f16);
HWY_EXPORT(attention_backward_f32);
HWY_EXPORT(attention_backward_bf16);
HWY_EXPORT(attention_backward_f16);

namespace {

int64_t fp32_workspace(const AttentionTask& task) {
  const int64_t row = padded(task.head_dim);
  return task.num_keys * in_strips(task.head_dim) + task.head_dim * in_strips(task.num_keys) +
         kQueryBlock * (score_row_of(task.num_keys) + 2 * row);
}

int64_t fp32_backward_workspace(const AttentionTask& task) {
  const int64_t row = padded(task.head_dim);
  return task.num_keys * (in_strips(task.head_dim) + 2 * row) + 2 * task.head_dim * in_strips(task.num_keys) +
         kQueryBlock * (2 * score_row_of(task.num_keys) + 3 * row);
}

/// Products of bf16 pairs belong to AVX-512, and are left out where that is (a test that asks for less).
bool by_pairs() {
  if constexpr (bf16_pairs::kCompiled) {
    static const bool supported = bf16_pairs::supported();
    return supported && HWY_DYNAMIC_DISPATCH(chosen_target)() <= HWY_AVX3;
  } else {
    return false;
  }
}

}  // namespace

template <>
int64_t attention_workspace<float>(const AttentionTask& task) {
  return fp32_workspace(task);
}
template <>
int64_t attention_backward_workspace<float>(const AttentionTask& task) {
  return fp32_backward_workspace(task);
}
template <>
int64_t attention_workspace<F16>(const AttentionTask& task) {
  return fp32_workspace(task);
}
template <>
int64_t attention_backward_workspace<F16>(const AttentionTask& task) {
  return fp32_backward_workspace(task);
}
template <>
int64_t attention_workspace<Bf16>(const AttentionTask& task) {
  if constexpr (bf16_pairs::kCompiled) {
    if (by_pairs()) return bf16_pairs::forward_workspace(task);
  }
  return fp32_workspace(task);
}
template <>
int64_t attention_backward_workspace<Bf16>(const AttentionTask& task) {
  if constexpr (bf16_pairs::kCompiled) {
    if (by_pairs()) return bf16_pairs::backward_workspace(task);
  }
  return fp32_backward_workspace(task);
}

template <>
void attention(const AttentionInputs<float>& in, float* out, float* lse, const AttentionTask& task, float* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_f32)(in, out, lse, task, workspace);
}
template <>
void attention(const AttentionInputs<F16>& in, F16* out, float* lse, const AttentionTask& task, float* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_f16)(in, out, lse, task, workspace);
}
template <>
void attention(const AttentionInputs<Bf16>& in, Bf16* out, float* lse, const AttentionTask& task, float* workspace) {
  if constexpr (bf16_pairs::kCompiled) {
    if (by_pairs()) {
      return bf16_pairs::forward(in, out, lse, task, workspace, bf16_pairs::fits_tiles(task.head_dim));
    }
  }
  HWY_DYNAMIC_DISPATCH(attention_bf16)(in, out, lse, task, workspace);
}
// In fp32 a block of queries meets all its keys at once, which gives back what forward had, exactly.
template <>
void attention_backward(const AttentionInputs<float>& in, const AttentionResults<float>& of,
                        const AttentionGradientsOf<float>& out, const AttentionTask& task, float* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_backward_f32)(in, of.dout, out, task, workspace);
}
template <>
void attention_backward(const AttentionInputs<F16>& in, const AttentionResults<F16>& of,
                        const AttentionGradientsOf<F16>& out, const AttentionTask& task, float* workspace) {
  HWY_DYNAMIC_DISPATCH(attention_backward_f16)(in, of.dout, out, task, workspace);
}
template <>
void attention_backward(const AttentionInputs<Bf16>& in, const AttentionResults<Bf16>& of,
                        const AttentionGradientsOf<Bf16>& out, const AttentionTask& task, float* workspace) {
  if constexpr (bf16_pairs::kCompiled) {
    if (by_pairs()) {
      return bf16_pairs::backward(in, of, out, task, workspace, bf16_pairs::fits_tiles(task.head_dim));
    }
  }
  HWY_DYNAMIC_DISPATCH(attention_backward_bf16)(in, of.dout, out, task, workspace);
}

}  // namespace lathe::kernels
#endif
