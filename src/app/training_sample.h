#pragma once
#include <string_view>

#include "train/training_run.h"

namespace lathe {

/// Lets the model answer the first held-out row (the first training row where none is held out), greedily, and prints
/// question, expected answer and the model's own. @param when stands in the heading.
void show_answer(TrainingRun& run, std::string_view when);

/// Prints the held-out loss before training, that of the weights kept at the end, and how much was gained. Silent where
/// fewer than two evaluations were made.
void show_held_out_loss(const TrainingRun& run);

}  // namespace lathe
