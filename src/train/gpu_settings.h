#pragma once
// What a run on a GPU cannot do in this version, said before anything is read.
#include "config/training_arguments.h"

namespace lathe {

/// @throws Error(kConfig) naming the setting that works on the CPU alone
void check_gpu_settings(const TrainingArguments& args);

}  // namespace lathe
