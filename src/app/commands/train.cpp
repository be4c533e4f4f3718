// lathe train: from a preset or a config and key=value words to a finished run.
#include <fmt/format.h>
#include <lathe/error.h>

#include <filesystem>
#include <memory>

#include "app/commands/commands.h"
#include "app/model_lookup.h"
#include "app/presets.h"
#include "app/training_sample.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/signals.h"
#include "config/config_file.h"
#include "train/training_run.h"

namespace lathe {
namespace {

struct TrainWords {
  std::string config, type;
  std::vector<std::string> overrides;
};

// The demo's model and rows come with the program: they are found from any working folder.
void find_demo_files(TrainingArguments& args) {
  const auto at_home = [home = home_directory()](std::string& path) {
    if (path.starts_with("demo/") && !std::filesystem::exists(path)) path = home + "/" + path;
  };
  at_home(args.model_name_or_path);
  for (std::string& path : args.data_path) at_home(path);
  for (std::string& path : args.eval_data_path) at_home(path);
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void print_summary(const TrainingArguments& args, const std::string& config, const std::string& type) {
  log::info("Config:         {}", config);
  log::info("Type:           {}", type);
  log::info("Model:          {}", args.model_name_or_path);
  log::info("Data:           {}", join(args.data_path));
  log::info("Output:         {}", args.output_dir);
  if (args.use_deepspeed) {
    log::info("DeepSpeed:      stage {}{}", args.deepspeed_stage, args.cpu_offload ? " + CPU Offload" : "");
  }
  if (args.use_qlora) {
    log::info("QLoRA:          {} bits, rank {}", args.quantization_bit, args.lora_r);
  } else if (args.use_lora) {
    log::info("LoRA rank:      {}", args.lora_r);
  }
  log::info("Learning rate:  {}", args.learning_rate);
  log::info("Epochs:         {}", args.num_train_epochs);
}

std::string kind_of(const TrainingArguments& args) {
  return args.use_qlora ? "qlora" : args.use_lora ? "lora" : "full";
}

int run_train(const TrainWords& words) {
  install_kill_point();
  ignore_broken_pipes();
  if (words.config.empty() == words.type.empty()) {
    throw Error(
        ErrorKind::kConfig,
        words.config.empty() ? "neither a config nor a preset is given" : "a config and a preset are both given", {},
        "lathe train -c FILE [key=value …], or lathe train -t PRESET [key=value …]");
  }
  const std::string config = words.config.empty() ? preset_file(words.type) : words.config;
  LoadedConfig loaded = load_config(config, words.overrides);
  if (words.type == "demo") find_demo_files(loaded.args);
  print_summary(loaded.args, config, words.type.empty() ? kind_of(loaded.args) : words.type);
  const std::string model = find_model({.name = loaded.args.model_name_or_path,
                                        .cache_dir = loaded.args.cache_dir,
                                        .needs_weights = !loaded.args.init_from_scratch});
  TrainingRun run(loaded.args, model, loaded.notes);
  const bool shows_answers = words.type == "demo";
  if (shows_answers) show_answer(run, "before training");
  const TrainOutput output = run.train();
  if (output.stopped_by_signal != 0) return exit_code(ErrorKind::kInterrupted, output.stopped_by_signal);
  if (shows_answers) {
    show_answer(run, "after training");
    show_held_out_loss(run);
  }
  return 0;
}

}  // namespace

Command train_command() {
  return {"train", "Train a model: -c FILE or -t PRESET, then key=value words", [](CommandOptions& options) {
            auto words = std::make_shared<TrainWords>();
            options.option("-c,--config", words->config, "a JSON file of settings");
            options.option("-t,--type", words->type, "a preset's name (configs/train_config_*.json)");
            options.option("settings", words->overrides, "key=value words; each overrides a key of the file");
            options.footer(std::function<std::string()>(config_help));
            return [words] { return run_train(*words); };
          }};
}

}  // namespace lathe
