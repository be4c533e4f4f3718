#pragma once
// What a checkpoint-N folder holds: model files that peft and transformers load as they stand, optimizer.safetensors
// (moments by parameter name), trainer_state.json, and in manifest.json what the run was fed.
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "config/training_arguments.h"
#include "engine/optimizer.h"
#include "engine/trainable.h"
#include "train/checkpoint_folder.h"
#include "train/model_saver.h"
#include "train/trainer_state.h"

namespace lathe {

/// What a run was fed. Resuming with something else is refused.
struct Fingerprints {
  std::string data, tokenizer, template_text;
  std::shared_future<std::string> base_weights;  ///< hashed beside the first steps; get() waits
  std::string quantization;                      ///< of the base weights; "": none
  std::string row_ends;                          ///< what else decides on a row's text: enable_thinking, the end token
  std::string eval_data;                         ///< "": no rows of its own. Only two such are compared
};

/// SHA-256 over the weight files of a folder and its config.json; of files beyond 4 GiB only ends and samples are read.
[[nodiscard]] std::string fingerprint_weights(const std::string& model_directory);

/// Everything that a save writes besides the model's own files.
struct CheckpointContents {
  const TrainerState& state;
  const RunTotals& totals;
  Json row_order;                  ///< train/row_order.h
  Json callbacks;                  ///< what callbacks want back
  std::vector<std::string> logs;   ///< paths of logs that have to last as far as the checkpoint tells of them
  std::string training_args;       ///< JSON text
  Optimizer* optimizer = nullptr;  ///< null: save_only_model
};

/// A checkpoint of an instant, before it is written. Its tensors are the run's own: a parameter i must not change
/// before last_reads[i] tensors have been written.
struct PendingCheckpoint {
  std::string folder;
  FilesToSave files;
  Json manifest;
  Fingerprints fingerprints;
  std::vector<std::string> logs;
  std::vector<size_t> last_reads;
};
[[nodiscard]] PendingCheckpoint collect_checkpoint(const std::string& folder, const ModelSaver& saver,
                                                   ParameterStore& store, const CheckpointContents& contents,
                                                   const Fingerprints& fingerprints);

/// folder becomes whole, or stays what it was. May run on any thread. @throws Error(kIo)
void write_checkpoint(const PendingCheckpoint& pending, const SaveProgress& progress = {});

/// Why a run cannot go on from a checkpoint: its damage, or that it holds the model only. nullopt: it can.
[[nodiscard]] std::optional<std::string> why_not_resume(const std::string& folder);

/// Where a run begins, and a sentence that says so.
struct ResumeChoice {
  std::string folder;  ///< "": from the start
  std::string sentence;
  int64_t step = 0;
};
/// @param setting resume_from_checkpoint: nothing, "true", or a path. Damaged checkpoints are named on the console.
/// @throws Error(kConfig) when a path is no whole checkpoint.
[[nodiscard]] ResumeChoice choose_checkpoint(const std::optional<std::string>& setting, const std::string& output_dir);

/// @throws Error(kConfig) naming what differs: base weights, data, tokenizer, template or evaluation data.
void check_fingerprints(const std::string& folder, const Fingerprints& fingerprints);

/// The settings in which a run that goes on differs from the checkpoint's, "key old -> new, …"; "" where none does.
[[nodiscard]] std::string changed_settings(const std::string& folder, const TrainingArguments& now);

struct RestoredCheckpoint {
  TrainerState state;
  RunTotals totals;
  Json row_order;  ///< null: made by an older version
  Json callbacks;
};
/// Puts weights and moments back. @throws Error(kData)
RestoredCheckpoint read_checkpoint(const std::string& folder, const ModelSaver& saver, ParameterStore& store,
                                   Optimizer& optimizer);

}  // namespace lathe
