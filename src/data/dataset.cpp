#include "data/dataset.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iterator>
#include <thread>
#include <utility>

#include "base/mt19937.h"
#include "base/signals.h"
#include "data/data_report.h"
#include "data/dataset_sample.h"

namespace lathe {
namespace {

const std::string& file_of(const RowsRead& rows, int32_t file) {
  return rows.files[static_cast<size_t>(file)];
}

/// Contiguous ranges, one a thread; of several errors that of the earliest row is thrown.
std::vector<EncodedRow> encode_all(const RowsRead& rows, const Tokenizer& tokenizer, const EncodeOptions& options) {
  std::vector<EncodedRow> encoded(rows.rows.size());
  const size_t num_threads =
      std::clamp<size_t>(static_cast<size_t>(std::max(options.num_threads, 1)), 1, encoded.size());
  std::vector<std::exception_ptr> errors(num_threads);
  const auto encode_range = [&](size_t thread) {
    try {
      const size_t end = (thread + 1) * encoded.size() / num_threads;
      for (size_t i = thread * encoded.size() / num_threads; i < end; ++i) {
        throw_if_stopped();
        const Row& row = rows.rows[i];
        encoded[i] = encode_row(row, file_of(rows, row.file), tokenizer, options);
      }
    } catch (...) {
      errors[thread] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (size_t thread = 1; thread < num_threads; ++thread) threads.emplace_back(encode_range, thread);
  encode_range(0);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return encoded;
}

/// All its answers were cut away, though it had some.
bool lost_all_labels(const EncodedRow& row) {
  return row.overlong() && row.full_targets > 0 && num_targets(row.view()) == 0;
}

bool is_refused(const EncodedRow& row, OverlongPolicy policy) {
  if (policy == OverlongPolicy::kError) return row.overlong();
  return policy == OverlongPolicy::kErrorIfNoLabel && lost_all_labels(row);
}

/// Names the first row that the policy refuses, and what length would do for all of them.
void check_overlong(const std::vector<EncodedRow>& encoded, const RowsRead& rows, const EncodeOptions& options) {
  const EncodedRow* first = nullptr;
  int64_t count = 0, enough = 0, longest = 0;
  for (const EncodedRow& row : encoded) {
    if (!is_refused(row, options.overlong)) continue;
    if (first == nullptr) first = &row;
    ++count;
    enough = std::max(enough, row.least_max_length);
    longest = std::max(longest, row.full_tokens);
  }
  if (first == nullptr) return;
  const Where where{file_of(rows, first->file), first->line, {}};
  const std::string others = count > 1 ? fmt::format(" (and {} more rows like it)", count - 1) : "";
  if (options.overlong == OverlongPolicy::kError) {
    throw Error(ErrorKind::kData,
                fmt::format("the row has {} tokens, max_seq_length is {}{}", first->full_tokens, options.max_seq_length,
                            others),
                where,
                fmt::format("max_seq_length={} holds every row; or set overlong=\"truncate\" or \"drop\"", longest));
  }
  throw Error(ErrorKind::kData,
              fmt::format("nothing of the answer is left when the row's {} tokens are cut to max_seq_length {}{}",
                          first->full_tokens, options.max_seq_length, others),
              where,
              fmt::format("max_seq_length={} holds every such row whole, {} the beginning of every answer; "
                          "overlong=\"drop\" leaves such rows out",
                          longest, enough));
}

void keep_samples(std::vector<EncodedRow>& encoded, const EncodeOptions& options, Dataset& dataset) {
  std::vector<EncodedRow> kept;
  kept.reserve(encoded.size());
  for (EncodedRow& row : encoded) {
    if (row.overlong() && options.overlong == OverlongPolicy::kDrop) {
      ++dataset.report.rows_dropped;
      continue;
    }
    if (row.overlong()) {
      ++dataset.report.rows_truncated;
      dataset.report.tokens_cut += row.full_tokens - static_cast<int64_t>(row.input_ids.size());
    }
    kept.push_back(std::move(row));
  }
  lay_out(std::move(kept), dataset);
}

[[noreturn]] void nothing_to_train_on(const DataReport& report, const RowsRead& rows, const EncodeOptions& options) {
  const Where where{rows.files.front(), 0, {}};
  if (report.rows_kept == 0) {
    throw Error(ErrorKind::kData,
                fmt::format("all {} rows are longer than max_seq_length {} and were dropped", report.rows_dropped,
                            options.max_seq_length),
                where, "raise max_seq_length, or set overlong=\"truncate\"");
  }
  if (report.rows_truncated > 0) {
    throw Error(ErrorKind::kRun,
                fmt::format("no row has a label: {} of {} were cut to max_seq_length {} before their answer begins",
                            report.rows_truncated, report.rows_kept, options.max_seq_length),
                where, "raise max_seq_length, or set truncation_side=\"left\"");
  }
  throw Error(ErrorKind::kRun, "no row has a label: there is no answer in any of them", where,
              "fill the answers (output, response, completion, answer, or the assistant's turns)");
}

/// What the samples hold follows anew; what happened on the way to them belongs to the whole.
Dataset take(Dataset& dataset, const std::vector<char>& held_out) {
  Dataset taken;
  taken.fingerprint = dataset.fingerprint;
  taken.storage = dataset.storage;
  std::vector<Sample> kept;
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    (held_out[i] != 0 ? taken.samples : kept).push_back(dataset.samples[i]);
  }
  dataset.samples = std::move(kept);
  return taken;
}

}  // namespace

Dataset encode_rows(const RowsRead& rows, const Tokenizer& tokenizer, const EncodeOptions& options) {
  LATHE_ASSERT(!rows.rows.empty() && options.max_seq_length > 0);
  std::vector<EncodedRow> encoded = encode_all(rows, tokenizer, options);
  check_overlong(encoded, rows, options);
  Dataset dataset;
  dataset.fingerprint = rows.fingerprint;
  DataReport& report = dataset.report;
  report.rows_skipped = static_cast<int64_t>(rows.skipped.size());
  report.rows_read = static_cast<int64_t>(rows.rows.size()) + report.rows_skipped;
  report.rows_duplicated = rows.duplicates;
  keep_samples(encoded, options, dataset);
  measure_samples(dataset.samples, report);
  if (report.trained_tokens == 0) nothing_to_train_on(report, rows, options);
  report.notes = rows.notes;
  const std::vector<std::string> notes = notes_on_answers(rows.rows, options);
  report.notes.insert(report.notes.end(), notes.begin(), notes.end());
  report.skipped = rows.skipped;
  return dataset;
}

Dataset split_off(Dataset& dataset, double ratio, uint64_t seed) {
  const auto count = static_cast<int64_t>(dataset.samples.size());
  if (!(ratio > 0 && ratio < 1)) {
    throw Error(ErrorKind::kConfig, fmt::format("must be above 0 and below 1, is {}", ratio),
                {{}, 0, "eval_split_ratio"});
  }
  if (count < 2) {
    throw Error(ErrorKind::kData, "a single row cannot be split into training and evaluation",
                {{}, 0, "eval_split_ratio"}, "add rows, or give eval_data_path");
  }
  const int64_t wanted = std::clamp<int64_t>(std::llround(ratio * static_cast<double>(count)), 1, count - 1);
  Mt19937 generator(seed);
  const std::vector<int64_t> order = random_permutation(count, generator);
  std::vector<char> held_out(static_cast<size_t>(count), 0);
  for (int64_t i = 0; i < wanted; ++i) held_out[static_cast<size_t>(order[static_cast<size_t>(i)])] = 1;
  Dataset taken = take(dataset, held_out);
  measure_samples(taken.samples, taken.report);
  taken.report.rows_read = taken.report.rows_kept;
  measure_samples(dataset.samples, dataset.report);
  dataset.report.rows_held_out += wanted;
  if (dataset.report.trained_tokens == 0) {
    throw Error(ErrorKind::kRun, "the rows that are left to train on have no label", {{}, 0, "eval_split_ratio"},
                "hold fewer rows out, or fill the answers");
  }
  return taken;
}

}  // namespace lathe
