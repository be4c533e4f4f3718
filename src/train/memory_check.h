#pragma once
// Before step 1: does it fit, in memory and on disk?
#include <cstdint>
#include <string>

#include "config/model_shape.h"
#include "config/plan.h"
#include "config/training_arguments.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "train/run_length.h"

namespace lathe {

/// The largest micro-batch and the largest evaluation batch of the run, by tokens; of a run that is longer, of its
/// first epoch and its first 16 million rows. @param loader of train
[[nodiscard]] LoadShape largest_load(const TrainingArguments& args, const TrainLoader& loader, const Dataset& train,
                                     const Dataset* eval, int64_t max_steps);

/// @param present checkpoints that the run finds and will drop in time
/// @throws Error(kConfig) when the checkpoints that are certain and the final save do not fit on the disk of output_dir;
/// a warning says where those that are possible would not.
void check_disk(const ModelShape& shape, const TrainingArguments& args, int64_t trainable_parameters, SaveCount saves,
                int64_t present);

}  // namespace lathe
