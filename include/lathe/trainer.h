#pragma once
/// Fine-tuning in one call: what `lathe train -c FILE` does, without a command line.
///
/// Thread-safety: one run at a time in a process. Needs tens of megabytes beside the model: see `lathe plan`.
///
///     lathe::TrainSummary run = lathe::train("configs/train_config_lora.json",
///                                            {"model_name_or_path=models/Qwen2.5-0.5B", "max_steps=20"});
///     std::printf("%lld steps, loss %.4f\n", (long long)run.global_step, run.train_loss);
#include <cstdint>
#include <string>
#include <vector>

namespace lathe {

/// What a run ended with. Everything else lies in the output folder (train_results.json, trainer_state.json).
struct TrainSummary {
  int64_t global_step = 0;
  double train_loss = 0;  ///< mean over all updates
  double train_runtime_s = 0;
  int stopped_by_signal = 0;  ///< 0: ran to its end; else the number of the signal, after a checkpoint was saved
};

/// @param config_file flat JSON of settings; "" for defaults.  @param overrides "key=value" words, as on the command
/// line. The model has to be a local folder with config.json, tokenizer.json and weights (or init_from_scratch: true).
/// @throws Error: exit_code(error.kind()) is what the program would have returned.
[[nodiscard]] TrainSummary train(const std::string& config_file, const std::vector<std::string>& overrides = {});

}  // namespace lathe
