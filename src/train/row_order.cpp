#include "train/row_order.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <nlohmann/json.hpp>

#include "train/run_length.h"

namespace lathe {

Json row_order(const TrainingArguments& args, int64_t num_rows) {
  const LoaderOptions of = loader_options(args);
  Json order = {
      {"number of rows", num_rows},
      {"per_device_train_batch_size times gradient_accumulation_steps", of.batch_size * of.gradient_accumulation_steps},
      {"train_sampling_strategy", args.train_sampling_strategy},
      {"packing", args.packing},
      {"dataloader_drop_last", of.drop_last}};
  if (of.shuffle) order["seed"] = of.seed;
  if (of.packing_tokens > 0) order["max_seq_length"] = of.packing_tokens;
  // Grouping sorts some batches together, and dropping counts whole ones.
  if (of.group_by_length || of.drop_last) order["per_device_train_batch_size"] = of.batch_size;
  if (args.eval_data_path.empty() && args.eval_split_ratio > 0) {
    order["eval_split_ratio"] = args.eval_split_ratio;
    order["seed of the split"] = args.seed;
  }
  return order;
}

void check_row_order(const std::string& folder, const Json& before, const Json& now) {
  if (!before.is_object()) return;
  std::string differing;
  for (const auto& [key, value] : now.items()) {
    if (!before.contains(key) || before[key] == value) continue;
    differing += fmt::format("{}{} (it was {}, now {})", differing.empty() ? "" : ", ", key, dump_json(before[key]),
                             dump_json(value));
  }
  if (differing.empty()) return;
  throw Error(ErrorKind::kConfig,
              fmt::format("'{}' was made with other rows in an update: {}; going on from it, rows would be left out or "
                          "trained twice",
                          folder, differing),
              {.file = "", .line = 0, .key = "resume_from_checkpoint"},
              "resume with the same values, or start a new run from the weights alone with adapter_name_or_path");
}

}  // namespace lathe
