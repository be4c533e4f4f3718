#include "train/memory_check.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "base/memory_ledger.h"
#include "config/plan.h"

namespace lathe {
namespace {

struct RowSize {
  int64_t length = 0, targets = 0;
};

/// Once a row: an epoch looks at each, and there may be many epochs.
std::vector<RowSize> sizes_of(const Dataset& dataset) {
  std::vector<RowSize> sizes;
  sizes.reserve(dataset.samples.size());
  for (const Sample& sample : dataset.samples) {
    const auto length = static_cast<int64_t>(sample.input_ids.size());
    sizes.push_back({length, length - std::count(sample.labels.begin(), sample.labels.end(), kIgnoreLabel)});
  }
  return sizes;
}

void include_rows(BatchShape& load, const std::vector<RowSize>& sizes, const std::vector<int64_t>& rows) {
  int64_t tokens = 0, targets = 0;
  for (const int64_t row : rows) {
    const RowSize& size = sizes[static_cast<size_t>(row)];
    tokens += size.length;
    targets += size.targets;
    load.longest_row = std::max(load.longest_row, size.length);
  }
  load.tokens = std::max(load.tokens, tokens);
  load.targets = std::max(load.targets, targets);
}

}  // namespace

LoadShape largest_load(const TrainingArguments& args, const TrainLoader& loader, const Dataset& train,
                       const Dataset* eval, int64_t max_steps) {
  constexpr int64_t kRowsLookedAt = 1 << 24;  // about a second's
  const int64_t rows_an_update = args.per_device_train_batch_size * args.gradient_accumulation_steps;
  // Grouped by length each epoch has its longest rows together, and draws all orders before its own.
  const int64_t looked_at = loader_options(args).group_by_length ? 0 : kRowsLookedAt / rows_an_update;
  const int64_t updates = std::max(looked_at, loader.updates_per_epoch());
  const std::vector<RowSize> sizes = sizes_of(train);
  LoadShape load;
  for (int64_t update = 0; update < std::min(max_steps, updates); ++update) {
    for (const std::vector<int64_t>& rows : loader.update_rows(update)) include_rows(load.train, sizes, rows);
  }
  if (eval == nullptr) return load;
  const std::vector<RowSize> eval_sizes = sizes_of(*eval);
  const auto num_rows = static_cast<int64_t>(eval_sizes.size());
  for (const std::vector<int64_t>& rows : eval_batches(num_rows, args.per_device_eval_batch_size)) {
    include_rows(load.eval, eval_sizes, rows);
  }
  return load;
}

void check_disk(const ModelShape& shape, const TrainingArguments& args, int64_t trainable_parameters, SaveCount saves,
                int64_t present) {
  // One more than is kept: a new checkpoint is whole before an old one goes. The final save counts as one, too. Those
  // that a resumed run finds take no more room.
  const auto bytes_of = [&](int64_t count) {
    const int64_t kept = args.save_total_limit > 0 ? std::min(count, args.save_total_limit + 1) : count;
    return checkpoint_bytes(shape, args, trainable_parameters) * (std::max<int64_t>(kept - present, 0) + 1);
  };
  const int64_t needed = bytes_of(saves.certain), possible = bytes_of(saves.possible);
  const int64_t free = free_disk_bytes(args.output_dir);
  if (needed > free) {
    throw Error(ErrorKind::kConfig,
                fmt::format("the run saves {} and '{}' has room for {}", format_bytes(needed), args.output_dir,
                            format_bytes(free)),
                {.file = "", .line = 0, .key = "output_dir"},
                "free some space, give another output_dir, or set save_total_limit");
  }
  if (possible <= free) return;
  log::warning(
      "save_strategy \"best\" may save up to {} and '{}' has room for {}: a save that does not fit is left out; "
      "a smaller save_total_limit keeps fewer",
      format_bytes(possible), args.output_dir, format_bytes(free));
}

}  // namespace lathe
