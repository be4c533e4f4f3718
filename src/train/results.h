#pragma once
// What a finished run leaves beside its weights: trainer_state.json, train_results.json, eval_results.json,
// all_results.json, training_args.json, report.html, training_loss.svg.
#include <string>

#include "base/json.h"
#include "config/plan.h"
#include "data/dataset.h"
#include "train/start_parts.h"
#include "train/trainer.h"

namespace lathe {

struct ResultParts {
  const TrainingArguments& args;
  const Trainer& trainer;
  const DataReport& data;
  const DataReport* eval_data = nullptr;  ///< of rows of their own
  const MemoryPlan& plan;
  double startup_seconds = 0;
  const StartParts& start_parts;
  double model_flops = 0;  ///< of all tokens trained
  at::Device device = at::kCPU;
  double machine_flops = 0;  ///< a second, measured
};

/// train_results.json. Memory by device and class as the ledger counted it; the plan in the same classes.
[[nodiscard]] Json train_results(const ResultParts& parts);

/// Writes all of the files. @throws Error(kIo)
void write_results(const ResultParts& parts);

/// trainer_state.json alone: also what a failed run leaves.
void write_trainer_state(const std::string& output_dir, const TrainerState& state);

/// "***** train metrics *****" and one line a metric, sorted and aligned as transformers prints them.
[[nodiscard]] std::string metrics_block(const std::string& split, const Json& metrics);

}  // namespace lathe
