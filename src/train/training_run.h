#pragma once
// From settings to a finished run: rows, tokens, model, adapter, plan, Trainer, results.
#include <lathe/tokenizer.h>

#include <memory>
#include <string>
#include <vector>

#include "config/training_arguments.h"
#include "data/chat_template.h"
#include "data/dataset.h"
#include "model/causal_lm.h"
#include "train/trainer.h"

namespace lathe {

/// One run. The constructor reads and checks everything and prints notes, data report, sample and plan; train() trains
/// and writes the output folder. Between the two (and after) the model can be asked for a sample.
class TrainingRun {
 public:
  /// @param model_directory a folder with config.json, tokenizer and (unless init_from_scratch) weights.
  /// @param notes sentences of the config layer for the console.
  /// @throws Error(kConfig, kData: exit 2; kMemory: exit 3; kInterrupted)
  TrainingRun(TrainingArguments args, std::string model_directory, std::vector<std::string> notes);
  ~TrainingRun();
  TrainingRun(TrainingRun&&) noexcept;

  /// @throws Error(kRun) as Trainer::train; a run in which nothing was learned throws after its files are written.
  TrainOutput train();

  [[nodiscard]] const TrainingArguments& arguments() const;
  [[nodiscard]] CausalLM& model();
  [[nodiscard]] WeightSource& weights();
  /// Reads it anew: a run keeps none while it trains. @throws Error(kData)
  [[nodiscard]] std::shared_ptr<const Tokenizer> load_tokenizer() const;
  [[nodiscard]] TemplateKind template_kind() const;
  [[nodiscard]] const Dataset& train_dataset() const;
  [[nodiscard]] const Dataset* eval_dataset() const;
  [[nodiscard]] const TrainerState& state() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// TrainingRun(…).train().
TrainOutput run_training(const TrainingArguments& args, const std::string& model_directory,
                         const std::vector<std::string>& notes);

}  // namespace lathe
