#include <cmath>

#include "kernels/cpu/attention_bf16.h"

#if LATHE_BF16_PAIRS
#include "kernels/cpu/attention_bf16_block.h"

LATHE_BF16_PAIRS_BEGIN
namespace lathe::kernels::bf16_pairs {
namespace {

constexpr int64_t kSpan = 256;  // keys whose gradients are summed in cache while all rows go by
constexpr int64_t kPanels = kSpan / kPanel;

/// A span of keys, a block of rows, and what is kept for all rows.
struct Backward {
  Backward(const Extent& of, float* workspace) : extent(of) {
    Pieces pieces(workspace);
    const int64_t padded_rows = of.rows + kBlockRows;
    for (uint32_t** layout : {&keys, &values, &paired_keys}) *layout = pieces.take<uint32_t>(kSpan * of.width / 2);
    dkeys = pieces.take<float>(kSpan * of.width);
    dvalues = pieces.take<float>(kSpan * of.width);
    for (Bf16** rows : {&queries, &doutputs}) *rows = pieces.take<Bf16>(kBlockRows * of.width);
    for (uint32_t** rows : {&paired_queries, &paired_doutputs}) {
      *rows = pieces.take<uint32_t>(kBlockRows * of.width / 2);
    }
    for (uint32_t** panel : {&probabilities, &dscores}) *panel = pieces.take<uint32_t>(kBlockRows / 2 * kPanel);
    dscore_rows = pieces.take<Bf16>(kBlockRows * kSpan);
    dqueries = pieces.take<float>(padded_rows * of.width);
    lse2 = pieces.take<float>(padded_rows);
    delta = pieces.take<float>(padded_rows);
  }
  static int64_t floats(const Extent& of) {
    const int64_t padded_rows = of.rows + kBlockRows;
    return Pieces::kLine + 3 * Pieces::floats<uint32_t>(kSpan * of.width / 2) +
           2 * Pieces::floats<float>(kSpan * of.width) + 2 * Pieces::floats<Bf16>(kBlockRows * of.width) +
           2 * Pieces::floats<uint32_t>(kBlockRows * of.width / 2) +
           2 * Pieces::floats<uint32_t>(kBlockRows / 2 * kPanel) + Pieces::floats<Bf16>(kBlockRows * kSpan) +
           Pieces::floats<float>(padded_rows * of.width) + 2 * Pieces::floats<float>(padded_rows);
  }
  [[nodiscard]] int64_t panel() const { return kPanel * extent.width / 2; }  // pairs

  Extent extent;
  uint32_t *keys, *values;                     ///< the span's, by panel, depth along the head
  uint32_t* paired_keys;                       ///< the span's, depth along the keys
  float *dkeys, *dvalues;                      ///< of the span
  Bf16 *queries, *doutputs;                    ///< of the block
  uint32_t *paired_queries, *paired_doutputs;  ///< of the block, depth along the rows
  uint32_t *probabilities, *dscores;           ///< of the block and a panel, pairs of rows, [rows/2][64]
  Bf16* dscore_rows;                           ///< of the block and the span, row by row
  float *dqueries, *lse2, *delta;              ///< of all rows: the gradient's sum; lse · log2 e; Σ dout · out
};

/// What does not depend on keys. Rows that only fill the last tile get zeros.
void prepare(const AttentionResults<Bf16>& of, const Backward& on) {
  const Extent& extent = on.extent;
  const int64_t padded = extent.rows + kBlockRows;
  std::fill(on.dqueries, on.dqueries + padded * extent.width, 0.0F);
  std::fill(on.lse2 + extent.rows, on.lse2 + padded, 0.0F);
  std::fill(on.delta + extent.rows, on.delta + padded, 0.0F);
  for (int64_t row = 0; row < extent.rows; ++row) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t d = 0; d < extent.dim; d += 2 * kLanes) {
      const __m512i out = load_row(of.out + extent.at(row) + d, extent.dim - d);
      const __m512i dout = load_row(of.dout + extent.at(row) + d, extent.dim - d);
      sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(out), reinterpret_cast<__m512bh>(dout));
    }
    on.delta[row] = _mm512_reduce_add_ps(sum);
    on.lse2[row] = of.lse[extent.lse_at(row)] * kLog2E;
  }
}

void take_span(const AttentionInputs<Bf16>& in, const Backward& on, int64_t first, int64_t stride) {
  const int64_t dim = on.extent.dim, left = on.extent.keys - first;
  for (int64_t j = 0; j < kPanels && j * kPanel < left; ++j) {
    const int64_t at = (first + j * kPanel) * stride, count = std::min(kPanel, left - j * kPanel);
    pack_transposed(in.k + at, stride, count, dim, on.keys + j * on.panel());
    pack_transposed(in.v + at, stride, count, dim, on.values + j * on.panel());
  }
  pack_paired(in.k + first * stride, stride, std::min(kSpan, left), dim, kSpan, on.paired_keys);
  std::fill(on.dkeys, on.dkeys + kSpan * on.extent.width, 0.0F);
  std::fill(on.dvalues, on.dvalues + kSpan * on.extent.width, 0.0F);
}

/// Where a tile's results go: its pairs of rows, [rows/2][64], and its rows in the span's.
struct TileOut {
  uint32_t *probabilities, *dscores;
  Bf16* dscore_rows;
};

/// probability = 2^(score - lse), dscore = probability · (dprobability - delta), for a tile's rows and 64 keys.
/// @param seen of each row, from the panel's first key on; null: all of them
template <int kRows>
HWY_INLINE void differentiate(const Sums<kRows, 4>& scores, const Sums<kRows, 4>& dprobabilities, float scale2,
                              const float* lse2, const float* delta, const int64_t* seen, const TileOut& out) {
  for (int pair = 0; pair < kRows / 2; ++pair) {
    for (int half = 0; half < 2; ++half) {
      __m512i p[2], d[2];
      for (int e = 0; e < 2; ++e) {
        const int r = 2 * pair + e;
        __m512 probability[2], dscore[2];
        for (int n = 0; n < 2; ++n) {
          const int at = 2 * half + n;
          const __m512 x = _mm512_fmsub_ps(scores[r][at], _mm512_set1_ps(scale2), _mm512_set1_ps(lse2[r]));
          // No probability is above 1, however coarse a huge lse is.
          probability[n] = exp2(_mm512_min_ps(_mm512_setzero_ps(), x));
          if (seen != nullptr) probability[n] = _mm512_maskz_mov_ps(visible(seen[r], at * kLanes), probability[n]);
          dscore[n] = _mm512_mul_ps(probability[n], _mm512_sub_ps(dprobabilities[r][at], _mm512_set1_ps(delta[r])));
        }
        p[e] = narrowed(probability[0], probability[1]);
        d[e] = narrowed(dscore[0], dscore[1]);
        _mm512_storeu_si512(out.dscore_rows + r * kSpan + half * 2 * kLanes, d[e]);
      }
      store_paired(p[0], p[1], out.probabilities + pair * kPanel + half * 2 * kLanes);
      store_paired(d[0], d[1], out.dscores + pair * kPanel + half * 2 * kLanes);
    }
  }
}

/// Rows of the block that see the panel, whole tiles, become probabilities and dscores. @returns the first of them
template <typename Products>
int64_t score_panel(const Backward& on, const Block& block, int64_t span, int64_t j, float scale2) {
  constexpr int kRows = Products::kRows;
  const Extent& extent = on.extent;
  const int64_t width = extent.width, key = span + j * kPanel;
  const int64_t skipped = std::max<int64_t>(0, extent.first_row_that_sees(key) - block.first);
  const int64_t begin = skipped / kRows * kRows;
  for (int64_t tile = begin; tile < block.count; tile += kRows) {
    const int64_t row = block.first + tile, at = tile * width / 2;
    typename Products::Sums scores, dprobabilities;
    Products::multiply({pairs_of(on.queries) + at, width / 2, 1}, on.keys + j * on.panel(), width / 2, scores);
    Products::multiply({pairs_of(on.doutputs) + at, width / 2, 1}, on.values + j * on.panel(), width / 2,
                       dprobabilities);
    int64_t seen[kRows];
    for (int r = 0; r < kRows; ++r) seen[r] = extent.seen(row + r) - key;
    differentiate<kRows>(scores, dprobabilities, scale2, on.lse2 + row, on.delta + row,
                         seen[0] < kPanel ? seen : nullptr,
                         {on.probabilities + tile / 2 * kPanel, on.dscores + tile / 2 * kPanel,
                          on.dscore_rows + tile * kSpan + j * kPanel});
  }
  return begin;
}

/// dvalues += probabilitiesᵀ doutputs, dkeys += dscoresᵀ queries for a panel, rows of the block from `begin` on.
template <typename Products>
void add_to_keys(const Backward& on, const Block& block, int64_t begin, int64_t j) {
  const int64_t width = on.extent.width, first = begin / 2, depth = (block.padded - begin) / 2;
  Products::add_transposed(on.probabilities + first * kPanel, on.paired_doutputs, kBlockRows / 2, first, depth,
                           on.dvalues + j * kPanel * width, width);
  Products::add_transposed(on.dscores + first * kPanel, on.paired_queries, kBlockRows / 2, first, depth,
                           on.dkeys + j * kPanel * width, width);
}

template <typename Products>
void add_to_queries(const Backward& on, const Block& block, int64_t span) {
  const int64_t width = on.extent.width;
  for (int64_t tile = 0; tile < block.count; tile += Products::kRows) {
    const int64_t row = block.first + tile;
    const int64_t seen = std::min(kSpan, on.extent.seen(row + Products::kRows - 1) - span);
    Products::add({pairs_of(on.dscore_rows + tile * kSpan), kSpan / 2, 1}, on.paired_keys, kSpan / 2, (seen + 1) / 2,
                  on.dqueries + row * width, width);
  }
}

template <typename Products>
void backward_block(const AttentionInputs<Bf16>& in, const Bf16* dout, const Backward& on, const Block& block,
                    int64_t span, float scale2) {
  const Extent& extent = on.extent;
  const auto take = [&](const Bf16* from, Bf16* rows, uint32_t* paired) {
    gather(from, extent, block, rows);
    pack_paired(rows, extent.width, block.padded, extent.width, kBlockRows, paired);
  };
  take(in.q, on.queries, on.paired_queries);
  take(dout, on.doutputs, on.paired_doutputs);
  const int64_t last_seen = std::min(kSpan, extent.seen(block.first + block.count - 1) - span);
  for (int64_t j = 0; j * kPanel < last_seen; ++j) {
    const int64_t begin = score_panel<Products>(on, block, span, j, scale2);
    add_to_keys<Products>(on, block, begin, j);
  }
  add_to_queries<Products>(on, block, span);
}

template <typename Products>
void run(const AttentionInputs<Bf16>& in, const AttentionResults<Bf16>& of, const AttentionGradientsOf<Bf16>& out,
         const AttentionTask& task, float* workspace) {
  const Extent extent(task);
  const Backward on(extent, workspace);
  const float scale = 1.0F / std::sqrt(static_cast<float>(task.head_dim));
  prepare(of, on);
  for (int64_t span = 0; span < extent.keys; span += kSpan) {
    take_span(in, on, span, task.kv_stride);
    for_each_block<Products>(extent, extent.first_row_that_sees(span), [&](const Block& block) {
      backward_block<Products>(in, of.dout, on, block, span, scale * kLog2E);
    });
    for (int64_t key = 0; key < std::min(kSpan, extent.keys - span); ++key) {
      const int64_t to = (span + key) * task.kv_stride;
      narrow(on.dkeys + key * extent.width, scale, extent.dim, out.dk + to);
      narrow(on.dvalues + key * extent.width, 1, extent.dim, out.dv + to);
    }
  }
  for (int64_t row = 0; row < extent.rows; ++row) {
    narrow(on.dqueries + row * extent.width, scale, extent.dim, out.dq + extent.at(row));
  }
}

}  // namespace

int64_t backward_workspace(const AttentionTask& task) {
  return Backward::floats(Extent(task));
}

void backward(const AttentionInputs<Bf16>& in, const AttentionResults<Bf16>& of, const AttentionGradientsOf<Bf16>& out,
              const AttentionTask& task, float* workspace, bool in_tiles) {
  if (!in_tiles) return run<VectorProducts>(in, of, out, task, workspace);
  const TileScope tiles;
  run<TileProducts>(in, of, out, task, workspace);
}

}  // namespace lathe::kernels::bf16_pairs
LATHE_BF16_PAIRS_END
#endif
