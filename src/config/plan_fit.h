#pragma once
// Whether a planned run fits, and what would.
#include <cstdint>

#include "config/plan.h"

namespace lathe {

/// @throws Error(kMemory) when the plan is larger than available_bytes; the message says which settings would fit.
void require_memory(const ModelShape& shape, const TrainingArguments& args, const LoadShape& load, DType compute_dtype,
                    int64_t trainable_parameters, int64_t available_bytes);

}  // namespace lathe
