#pragma once
// Before step 1: does it fit, in memory and on disk?
#include <cstdint>
#include <string>

#include "config/model_shape.h"
#include "config/plan.h"
#include "config/training_arguments.h"
#include "data/dataset.h"
#include "data/loader.h"

namespace lathe {

/// The largest micro-batch and the largest evaluation batch of the run, by tokens; of a run that is longer, of its
/// first epoch and its first 16 million rows. @param loader of train
[[nodiscard]] LoadShape largest_load(const TrainingArguments& args, const TrainLoader& loader, const Dataset& train,
                                     const Dataset* eval, int64_t max_steps);

/// @param present checkpoints that the run finds and will drop in time
/// @throws Error(kConfig) when the checkpoints and the final save of this run do not fit on the disk of output_dir.
void check_disk(const ModelShape& shape, const TrainingArguments& args, int64_t trainable_parameters, int64_t num_saves,
                int64_t present);

}  // namespace lathe
