#pragma once
// The one place where names of optimizers meet their classes.
#include <memory>
#include <vector>

#include "config/training_arguments.h"
#include "engine/optimizer.h"

namespace lathe {

/// The run's `optim`. @param parameters have to outlive it
[[nodiscard]] std::unique_ptr<Optimizer> make_optimizer(const TrainingArguments& args,
                                                        std::vector<TrainableParameter>& parameters);

}  // namespace lathe
