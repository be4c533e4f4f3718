#pragma once
// What each optimizer keeps between updates.
#include <cstdint>

#include "config/model_shape.h"
#include "config/training_arguments.h"

namespace lathe {

/// Parameters of fewer elements keep fp32 moments where others have 8 bits (bitsandbytes' min_8bit_size).
inline constexpr int64_t kMin8bitElements = 4096;
/// Elements that share a scale in 8 bits.
inline constexpr int64_t k8bitBlock = 256;

/// Bytes of the state of everything that trains. In 8 bits embeddings, tied heads among them, still have fp32 moments.
[[nodiscard]] int64_t optimizer_bytes(const ModelShape& shape, const TrainingArguments& args);
/// What that is: "AdamW's two moments".
[[nodiscard]] const char* optimizer_words(const TrainingArguments& args);

}  // namespace lathe
