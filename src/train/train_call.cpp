#include <lathe/trainer.h>

#include "config/config_file.h"
#include "train/training_run.h"

namespace lathe {

TrainSummary train(const std::string& config_file, const std::vector<std::string>& overrides) {
  const LoadedConfig config = load_config(config_file, overrides);
  const TrainOutput output = run_training(config.args, config.args.model_name_or_path, config.notes);
  return {output.global_step, output.train_loss, output.train_runtime_s, output.stopped_by_signal};
}

}  // namespace lathe
