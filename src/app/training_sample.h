#pragma once
#include <string_view>

#include "train/training_run.h"

namespace lathe {

/// Lets the model answer the first held-out row (the first training row where none is held out), greedily, and prints
/// question, expected answer and the model's own. @param when stands in the heading.
void show_answer(TrainingRun& run, std::string_view when);

}  // namespace lathe
