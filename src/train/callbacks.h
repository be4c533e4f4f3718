#pragma once
// The callbacks every run has: console, trainer_log.jsonl, TensorBoard.
#include <memory>
#include <string>

#include "train/callback.h"

namespace lathe {

/// One line a log as transformers prints it, with tokens/s and peak memory, over a progress bar (or plain lines).
[[nodiscard]] std::unique_ptr<TrainerCallback> make_console_callback();

/// trainer_log.jsonl in output_dir. @param kept what save_state wrote into the resumed checkpoint; null: a new file.
[[nodiscard]] std::unique_ptr<TrainerCallback> make_log_file_callback(const std::string& output_dir, const Json& kept);

/// Event files in logging_dir (default output_dir/runs/<date>_<host>), tags as transformers names them.
[[nodiscard]] std::unique_ptr<TrainerCallback> make_tensorboard_callback(const TrainingArguments& args,
                                                                         const Json& kept);

/// {'loss': 0.6931, 'epoch': 0.5} — floats with four significant digits, as transformers prints logs.
[[nodiscard]] std::string format_logs(const Json& logs);

/// "train/loss", "eval/loss", …
[[nodiscard]] std::string scalar_tag(const std::string& key);

/// "1,234,567"
[[nodiscard]] std::string with_commas(int64_t value);

}  // namespace lathe
