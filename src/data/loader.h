#pragma once
// Batches of rows laid end to end: no padding anywhere inside (docs/architecture.md, "Batches").
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lathe {

/// One micro-batch: T tokens of R rows, laid end to end.
struct Batch {
  std::vector<int32_t> input_ids;  ///< [T]
  std::vector<int32_t>
      targets;  ///< [T]: the label of the next token of the same row; kIgnoreLabel where none is trained
  std::vector<int32_t> positions;   ///< [T]: from 0 in each row
  std::vector<int32_t> cu_seqlens;  ///< [R+1]: row r is tokens cu_seqlens[r] … cu_seqlens[r+1]-1
  std::vector<int64_t> rows;        ///< [R] indices into the dataset
  [[nodiscard]] int64_t num_tokens() const { return static_cast<int64_t>(input_ids.size()); }
  [[nodiscard]] int64_t num_rows() const { return static_cast<int64_t>(cu_seqlens.size()) - 1; }
  [[nodiscard]] int64_t num_targets() const;  ///< targets that are not kIgnoreLabel
  [[nodiscard]] int64_t longest_row() const;
};

[[nodiscard]] Batch make_batch(const Dataset& dataset, const std::vector<int64_t>& rows);

struct LoaderOptions {
  int64_t batch_size = 1;  ///< rows a micro-batch
  int64_t gradient_accumulation_steps = 1;
  uint64_t seed = 42;
  bool shuffle = true;
  bool drop_last = false;
  /// Rows of like length come together (transformers' LengthGroupedSampler), the longest first; not with packing.
  bool group_by_length = false;
  /// 0: off. Else rows are put together, best fit in the order of epoch 0, into packs of at most so many tokens; packs
  /// take the place of rows: batch_size counts them, and each epoch shuffles them. A row stays a sequence of its own
  /// inside.
  int64_t packing_tokens = 0;
};

/// Which rows make which update: row order of epoch e is torch's randperm(n) of a generator seeded seed + e; the
/// leftover micro-batches at an epoch's end make an update of their own (transformers 5.23). Not for several threads.
class TrainLoader {
 public:
  /// @param dataset must outlive the loader. @throws Error(kConfig) when drop_last leaves no micro-batch.
  TrainLoader(const Dataset& dataset, LoaderOptions options);
  [[nodiscard]] int64_t micro_batches_per_epoch() const;
  [[nodiscard]] int64_t updates_per_epoch() const;
  [[nodiscard]] int64_t left_out_per_epoch() const;  ///< rows, or packs, that fill no batch (drop_last)
  [[nodiscard]] int64_t num_packs() const { return static_cast<int64_t>(packs_.size()); }  ///< 0 without packing
  /// The micro-batches of update `index` (0-based, counted over all epochs): a pure function of index, so that a run
  /// that goes on needs no skipping.
  [[nodiscard]] std::vector<Batch> update(int64_t index) const;
  /// Rows of each micro-batch of that update.
  [[nodiscard]] std::vector<std::vector<int64_t>> update_rows(int64_t index) const;
  /// Their tokens. Safe for several threads.
  [[nodiscard]] std::vector<Batch> make_batches(const std::vector<std::vector<int64_t>>& micro_batches) const;

 private:
  [[nodiscard]] int64_t num_units() const;
  void make_packs();
  [[nodiscard]] std::vector<int64_t> order_of_epoch(int64_t epoch, int64_t count) const;
  [[nodiscard]] std::vector<int64_t> grouped_order(int64_t epoch, int64_t count) const;

  const Dataset& dataset_;
  LoaderOptions options_;
  std::vector<std::vector<int64_t>> packs_;  ///< rows of each pack; empty without packing
  mutable int64_t cached_epoch_ = -1;
  mutable std::vector<int64_t> order_;
};

/// Batches for evaluation, in the rows' own order.
[[nodiscard]] std::vector<std::vector<int64_t>> eval_batches(int64_t num_rows, int64_t batch_size);

}  // namespace lathe
