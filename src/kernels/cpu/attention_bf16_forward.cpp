#include <cmath>
#include <limits>

#include "kernels/cpu/attention_bf16.h"

#if LATHE_BF16_PAIRS
#include "kernels/cpu/attention_bf16_block.h"

LATHE_BF16_PAIRS_BEGIN
namespace lathe::kernels::bf16_pairs {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Keys and values of a task in panels of 64, and one block of rows on its way through them.
struct Forward {
  Forward(const Extent& of, float* workspace) : extent(of), panels((of.keys + kPanel - 1) / kPanel) {
    Pieces pieces(workspace);
    keys = pieces.take<uint32_t>(panels * panel());
    values = pieces.take<uint32_t>(panels * panel());
    queries = pieces.take<Bf16>(kBlockRows * extent.width);
    sums = pieces.take<float>(kBlockRows * kLanes);
    result = pieces.take<float>(kBlockRows * extent.width);
    tops = pieces.take<float>(kBlockRows + kLanes);
  }
  static int64_t floats(const Extent& of) {
    const int64_t panels = (of.keys + kPanel - 1) / kPanel;
    return Pieces::kLine + 2 * Pieces::floats<uint32_t>(panels * kPanel * of.width / 2) +
           Pieces::floats<Bf16>(kBlockRows * of.width) + Pieces::floats<float>(kBlockRows * of.width) +
           Pieces::floats<float>(kBlockRows * kLanes) + Pieces::floats<float>(kBlockRows + kLanes);
  }
  [[nodiscard]] int64_t panel() const { return kPanel * extent.width / 2; }  // pairs

  Extent extent;
  int64_t panels;
  uint32_t *keys, *values;
  Bf16* queries;
  float* sums;    ///< of a row's probabilities, spread over a vector
  float* result;  ///< probabilities · values, fp32
  float* tops;    ///< a row's highest score so far
};

void pack(const AttentionInputs<Bf16>& in, const Forward& to, int64_t stride) {
  const int64_t dim = to.extent.dim;
  for (int64_t j = 0; j < to.panels; ++j) {
    const int64_t key = j * kPanel, count = std::min(kPanel, to.extent.keys - key);
    pack_transposed(in.k + key * stride, stride, count, dim, to.keys + j * to.panel());
    pack_paired(in.v + key * stride, stride, count, dim, kPanel, to.values + j * to.panel());
  }
}

HWY_INLINE __m512 highest(const __m512 (&row)[4]) {
  return _mm512_max_ps(_mm512_max_ps(row[0], row[1]), _mm512_max_ps(row[2], row[3]));
}

HWY_INLINE __m512 halved(__m512 a, __m512 b) {
  return _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

/// The highest of each row's 64 scores.
template <int kRows>
HWY_INLINE __m512 highest_of_rows(const __m512 (*rows)[4]) {
  if constexpr (kRows == kLanes) {  // all rows at once: each step halves the vectors, and the lanes that a row has
    __m512 two[8], four[4];
    for (int i = 0; i < 8; ++i) {
      const __m512 a = highest(rows[2 * i]), b = highest(rows[2 * i + 1]);
      two[i] = _mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    for (int i = 0; i < 4; ++i) {
      const __m512d a = _mm512_castps_pd(two[2 * i]), b = _mm512_castps_pd(two[2 * i + 1]);
      four[i] = _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    return halved(halved(four[0], four[1]), halved(four[2], four[3]));
  } else {
    alignas(64) float found[kLanes] = {};
    for (int r = 0; r < kRows; ++r) found[r] = _mm512_reduce_max_ps(highest(rows[r]));
    return _mm512_load_ps(found);
  }
}

/// Raises the tops of a tile's rows to its scores' highest. @param factors what is there already has to be scaled by
template <int kRows>
HWY_INLINE void raise(const Sums<kRows, 4>& scores, float scale2, float* tops, float* factors) {
  constexpr int kCount = std::min<int>(kRows, kLanes);
  constexpr auto kMask = static_cast<__mmask16>((1U << kCount) - 1U);
  for (int first = 0; first < kRows; first += kCount) {
    const __m512 before = _mm512_maskz_loadu_ps(kMask, tops + first);
    const __m512 after = _mm512_max_ps(before, highest_of_rows<kCount>(scores + first));
    // While a row has seen nothing but -infinity there is nothing to scale, and no infinity to subtract from another.
    const __mmask16 none = _mm512_cmp_ps_mask(after, _mm512_set1_ps(-kInfinity), _CMP_EQ_OQ);
    const __m512 shift = _mm512_mask_mov_ps(after, none, _mm512_setzero_ps());
    const __m512 factor = exp2(_mm512_mul_ps(_mm512_sub_ps(before, shift), _mm512_set1_ps(scale2)));
    _mm512_store_ps(factors + first, factor);
    _mm512_mask_storeu_ps(tops + first, kMask, after);
  }
}

/// Scores of a tile → its probabilities, relative to the tops; adds them to the sums.
template <int kRows>
HWY_INLINE void soften(const Sums<kRows, 4>& scores, float scale2, const float* tops, const float* factors, float* sums,
                       Bf16* probabilities) {
  for (int r = 0; r < kRows; ++r) {
    const __m512 top = _mm512_set1_ps(tops[r] == -kInfinity ? 0.0F : tops[r]);
    __m512 p[4];
    for (int n = 0; n < 4; ++n) p[n] = exp2(_mm512_mul_ps(_mm512_sub_ps(scores[r][n], top), _mm512_set1_ps(scale2)));
    const __m512 sum = _mm512_add_ps(_mm512_add_ps(p[0], p[1]), _mm512_add_ps(p[2], p[3]));
    _mm512_storeu_ps(sums + r * kLanes,
                     _mm512_fmadd_ps(_mm512_loadu_ps(sums + r * kLanes), _mm512_set1_ps(factors[r]), sum));
    _mm512_storeu_si512(probabilities + r * kPanel, narrowed(p[0], p[1]));
    _mm512_storeu_si512(probabilities + r * kPanel + 2 * kLanes, narrowed(p[2], p[3]));
  }
}

/// A tile of rows, from `tile` of the block on, meets panel j.
template <typename Products>
HWY_INLINE void meet(const Forward& on, const Block& block, int64_t tile, int64_t j, float scale2) {
  constexpr int kRows = Products::kRows;
  const int64_t width = on.extent.width, row = block.first + tile, key = j * kPanel;
  typename Products::Sums scores;
  Products::multiply({pairs_of(on.queries) + tile * width / 2, width / 2, 1}, on.keys + j * on.panel(), width / 2,
                     scores);
  if (on.extent.seen(row) < key + kPanel) {
    for (int r = 0; r < kRows; ++r) {
      const int64_t seen = on.extent.seen(row + r) - key;
      for (int n = 0; n < 4; ++n) {
        scores[r][n] = _mm512_mask_mov_ps(_mm512_set1_ps(-kInfinity), visible(seen, n * kLanes), scores[r][n]);
      }
    }
  }
  alignas(64) float factors[rounded_up(kRows, kLanes)];
  alignas(64) Bf16 probabilities[kRows * kPanel];
  raise<kRows>(scores, scale2, on.tops + tile, factors);
  soften<kRows>(scores, scale2, on.tops + tile, factors, on.sums + tile * kLanes, probabilities);
  const int64_t seen = std::min(kPanel, on.extent.seen(row + kRows - 1) - key);
  Products::add({pairs_of(probabilities), kPanel / 2, 1}, on.values + j * on.panel(), kPanel / 2, (seen + 1) / 2,
                on.result + tile * width, width, factors);
}

void finish(const Forward& on, const Block& block, float scale, Bf16* out, float* lse) {
  for (int64_t r = 0; r < block.count; ++r) {
    const float sum = _mm512_reduce_add_ps(_mm512_loadu_ps(on.sums + r * kLanes));
    narrow(on.result + r * on.extent.width, 1.0F / sum, on.extent.dim, out + on.extent.at(block.first + r));
    if (lse != nullptr) lse[on.extent.lse_at(block.first + r)] = on.tops[r] * scale + std::log(sum);
  }
}

template <typename Products>
void run(const AttentionInputs<Bf16>& in, Bf16* out, float* lse, const AttentionTask& task, float* workspace) {
  const Forward on(Extent(task), workspace);
  const float scale = 1.0F / std::sqrt(static_cast<float>(task.head_dim));
  pack(in, on, task.kv_stride);
  for_each_block<Products>(on.extent, 0, [&](const Block& block) {
    gather(in.q, on.extent, block, on.queries);
    std::fill(on.tops, on.tops + kBlockRows, -kInfinity);
    std::fill(on.sums, on.sums + kBlockRows * kLanes, 0.0F);
    std::fill(on.result, on.result + kBlockRows * on.extent.width, 0.0F);
    const int64_t last_seen = on.extent.seen(block.first + block.count - 1);
    for (int64_t j = 0; j * kPanel < last_seen; ++j) {
      const int64_t skipped = std::max<int64_t>(0, on.extent.first_row_that_sees(j * kPanel) - block.first);
      for (int64_t tile = skipped / Products::kRows * Products::kRows; tile < block.count; tile += Products::kRows) {
        meet<Products>(on, block, tile, j, scale * kLog2E);
      }
    }
    finish(on, block, scale, out, lse);
  });
}

}  // namespace

int64_t forward_workspace(const AttentionTask& task) {
  return Forward::floats(Extent(task));
}

void forward(const AttentionInputs<Bf16>& in, Bf16* out, float* lse, const AttentionTask& task, float* workspace,
             bool in_tiles) {
  if (!in_tiles) return run<VectorProducts>(in, out, lse, task, workspace);
  const TileScope tiles;
  run<TileProducts>(in, out, lse, task, workspace);
}

}  // namespace lathe::kernels::bf16_pairs
LATHE_BF16_PAIRS_END
#endif
