#pragma once
// Cross-entropy of one chunk of logits and its gradient, in place.
//
// N tokens of the chunk, V vocabulary.
#include <ATen/core/Tensor.h>

#include <optional>

namespace lathe::ops {

/// Sum over the chunk of (1 - eps) · nll + eps · mean over the vocabulary of -log p, fp32 a token, added up in double.
/// @param logits [N,V] fp32|bf16; with a gradient_scale it is overwritten by d(gradient_scale · loss)/d logits, rounded
///   to its type.  @param targets [N] int64, all within the vocabulary
/// Source: transformers' ForCausalLMLoss (fp32 logits) and LabelSmoother.
double cross_entropy(at::Tensor& logits, const at::Tensor& targets, double label_smoothing,
                     std::optional<double> gradient_scale);

}  // namespace lathe::ops
