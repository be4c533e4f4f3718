#pragma once
// Rows as the model sees them: ids and labels, made once, before training (what is shown is what is trained).
#include <lathe/tokenizer.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/row.h"

namespace lathe {

inline constexpr int32_t kIgnoreLabel = -100;

/// A view: the tokens lie in Dataset::storage.
struct Sample {
  std::span<const int32_t> input_ids;
  std::span<const int32_t>
      labels;  ///< same length; kIgnoreLabel where nothing is trained; labels[t] is the id at t, not shifted
  int32_t file = 0;
  int64_t line = 0;
};

enum class TruncationSide { kRight, kLeft };
enum class OverlongPolicy { kTruncate, kDrop, kError, kErrorIfNoLabel };

struct EncodeOptions {
  TemplateKind template_kind = TemplateKind::kToolkit;
  std::optional<bool> enable_thinking;
  int64_t max_seq_length = 2048;
  TruncationSide truncation_side = TruncationSide::kRight;
  OverlongPolicy overlong = OverlongPolicy::kErrorIfNoLabel;
  bool train_on_prompt = false;  ///< labels on every token
  int num_threads = 1;
};

/// Labels that are trained: the next-token target of some token, so not the first of the row.
[[nodiscard]] int64_t num_targets(const Sample& sample);

/// Counts that are shown before step 1 and saved in train_results.json: nothing is lost in silence.
struct DataReport {
  int64_t rows_read = 0, rows_kept = 0, rows_skipped = 0, rows_truncated = 0, rows_dropped = 0, rows_duplicated = 0;
  int64_t rows_without_labels = 0;  ///< kept, but nothing in them is trained
  int64_t rows_held_out = 0;        ///< moved to the evaluation set by split_off
  int64_t tokens = 0, trained_tokens = 0, tokens_cut = 0;
  int64_t shortest = 0, median = 0, p95 = 0, longest = 0;  ///< tokens a row
  std::vector<std::string> notes;  ///< sentences for the user (think blocks and template that disagree, …)
  std::vector<SkippedRow> skipped;
};

/// Copies share the tokens.
struct Dataset {
  std::vector<Sample> samples;
  DataReport report;
  std::string fingerprint;
  std::shared_ptr<const void> storage;  ///< what the samples are views of: memory, or a mapped file (token_cache.h)
};

/// Each row's text is that of its template, its labels come from the turns themselves. The result does not depend on
/// num_threads. Looks at stop requests as it goes.
/// @throws Error(kData) naming file:line by the overlong policy; Error(kRun) when no row has a label (with the likely
/// cause).
[[nodiscard]] Dataset encode_rows(const RowsRead& rows, const Tokenizer& tokenizer, const EncodeOptions& options);

/// Takes ratio of the rows (rounded; at least one, never all; chosen by a seeded permutation) out of dataset and
/// returns them; both keep their rows' order. Counts of what was kept follow; dataset.report.rows_held_out says how
/// many.
/// @throws Error(kConfig) for a ratio outside (0, 1), Error(kData) when dataset has a single row.
[[nodiscard]] Dataset split_off(Dataset& dataset, double ratio, uint64_t seed);

/// The report as lines for the console.
[[nodiscard]] std::string describe(const DataReport& report);

/// A sample as text: trained tokens between »…« (colours on a terminal), for show_sample.
[[nodiscard]] std::string show_sample(const Sample& sample, const Tokenizer& tokenizer, bool colour);

}  // namespace lathe
