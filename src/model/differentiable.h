#pragma once
// The model's explicit forward and backward as one node of autograd, for libtorch programs with an optimizer of their
// own.
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "model/causal_lm.h"
#include "model/model_files.h"

namespace lathe {

/// Sum of the loss over the batch's targets, a scalar fp32 tensor: call backward() on it, or build on it first.
/// @param weights where the model reads; it must hand out the same values as `parameters`
/// @param parameters leaves by id; those that require a gradient get one. Must outlive the call to backward(), as must
///   model, weights and batch.
[[nodiscard]] at::Tensor differentiable_loss(CausalLM& model, const Batch& batch, WeightSource& weights,
                                             const TensorMap& parameters, const DropoutKey& dropout = {});

}  // namespace lathe
