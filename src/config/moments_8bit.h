#pragma once
// Which of an optimizer's moments are kept in 8 bits, by bitsandbytes' and transformers' rules, and their size.
#include <cstdint>

#include "config/model_shape.h"
#include "config/training_arguments.h"

namespace lathe {

/// Parameters of fewer elements keep fp32 moments (bitsandbytes' min_8bit_size).
inline constexpr int64_t kMin8bitElements = 4096;

/// Bytes of one moment of everything that trains. Embeddings, tied heads among them, have fp32 ones.
[[nodiscard]] int64_t moment_8bit_bytes(const ModelShape& shape, const TrainingArguments& args);

}  // namespace lathe
