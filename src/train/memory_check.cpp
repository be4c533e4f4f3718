#include "train/memory_check.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>

#include "base/file.h"
#include "base/memory_ledger.h"
#include "config/plan.h"
#include "train/output_folder.h"

namespace lathe {
namespace {

void include_rows(LoadShape& load, const Dataset& dataset, const std::vector<int64_t>& rows) {
  int64_t tokens = 0, targets = 0;
  for (const int64_t row : rows) {
    const Sample& sample = dataset.samples[static_cast<size_t>(row)];
    const auto length = static_cast<int64_t>(sample.input_ids.size());
    tokens += length;
    targets += length - std::count(sample.labels.begin(), sample.labels.end(), kIgnoreLabel);
    load.longest_row = std::max(load.longest_row, length);
  }
  load.tokens = std::max(load.tokens, tokens);
  load.targets = std::max(load.targets, targets);
}

}  // namespace

LoadShape largest_load(const TrainingArguments& args, const TrainLoader& loader, const Dataset& train,
                       const Dataset* eval, int64_t max_steps) {
  constexpr int64_t kUpdatesLookedAt = 20000;
  LoadShape load;
  for (int64_t update = 0; update < std::min(max_steps, kUpdatesLookedAt); ++update) {
    for (const std::vector<int64_t>& rows : loader.update_rows(update)) include_rows(load, train, rows);
  }
  if (eval == nullptr) return load;
  const auto num_rows = static_cast<int64_t>(eval->samples.size());
  for (const std::vector<int64_t>& rows : eval_batches(num_rows, args.per_device_eval_batch_size)) {
    include_rows(load, *eval, rows);
  }
  return load;
}

void check_disk(const ModelShape& shape, const TrainingArguments& args, int64_t trainable_parameters,
                int64_t num_saves) {
  // One more than is kept: a new checkpoint is whole before an old one goes. The final save counts as one, too. Those
  // that a resumed run finds take no more room.
  const int64_t kept = args.save_total_limit > 0 ? std::min(num_saves, args.save_total_limit + 1) : num_saves;
  const auto present = static_cast<int64_t>(list_checkpoints(args.output_dir).size());
  const int64_t needed =
      checkpoint_bytes(shape, args, trainable_parameters) * (std::max<int64_t>(kept - present, 0) + 1);
  const int64_t free = free_disk_bytes(args.output_dir);
  if (needed <= free) return;
  throw Error(ErrorKind::kConfig,
              fmt::format("the run saves {} and '{}' has room for {}", format_bytes(needed), args.output_dir,
                          format_bytes(free)),
              {.file = "", .line = 0, .key = "output_dir"},
              "free some space, give another output_dir, or set save_total_limit");
}

}  // namespace lathe
