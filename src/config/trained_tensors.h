#pragma once
// Which tensors train, by their sizes alone: for what the plan says of gradients, masters and optimizers.
#include <cstdint>
#include <vector>

#include "config/model_shape.h"
#include "config/modules_to_save.h"
#include "config/target_modules.h"
#include "config/training_arguments.h"

namespace lathe {

[[nodiscard]] ModulesToSave modules_to_save(const TrainingArguments& args);
/// The modules of the whole model that get an adapter.
[[nodiscard]] std::vector<LinearModule> modules_with_adapters(const ModelShape& shape, const TrainingArguments& args);

enum class TrainedKind : uint8_t {
  kAdapter,    ///< A and B
  kMagnitude,  ///< DoRA's
  kModel,      ///< a weight of the model itself, or its copy in modules_to_save
  kEmbedding,  ///< the same of the table of tokens, a tied head with it
};

struct TrainedTensor {
  TrainedKind kind;
  int64_t elements = 0;
  int64_t rows = 0;  ///< of a matrix; 0: a vector
};
/// Everything that trains in a run with these settings, in no particular order.
[[nodiscard]] std::vector<TrainedTensor> trained_tensors(const ModelShape& shape, const TrainingArguments& args);

}  // namespace lathe
