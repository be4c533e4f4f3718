#pragma once
// Moments in 8 bits, of those parameters that bitsandbytes and transformers' Trainer keep in 8 bits.
#include <vector>

#include "engine/trainable.h"
#include "ops/update.h"

namespace lathe {

/// Zeros for each parameter. Small parameters (config/optimizer_bytes.h) and, as the Trainer asks of bitsandbytes,
/// embeddings have fp32 ones, a tied head with them: those have no absmax, and their `codes` are the values.
/// All lie on the CPU.
[[nodiscard]] std::vector<ops::BlockwiseMoment> zero_moments(const std::vector<TrainableParameter>& parameters);

/// What a checkpoint keeps of one: codes under its name, scales under NAME_absmax.
/// @param suffix ".exp_avg"
void add_state(std::vector<StateTensor>& state, const std::string& suffix, const ops::BlockwiseMoment& moment);

}  // namespace lathe
