#pragma once
// Cross-entropy of rows of logits, and its gradient in place.
//
// N tokens, V vocabulary. Single-threaded; safe to call concurrently on disjoint rows. Nothing is allocated.
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::kernels {

struct CrossEntropy {
  double label_smoothing = 0;  ///< eps: (1 - eps) · nll + eps · mean over the vocabulary of -log p
  bool gradient = false;       ///< overwrite the logits with gradient_scale · d loss / d logits, in their type
  double gradient_scale = 1;
};

/// @param logits [N,V]  @param targets [N], within the vocabulary; negative: the row counts nothing (loss and gradient
/// 0)
/// @param loss out: [N] fp32, one a row
/// Source: torch's cross_entropy on fp32 logits; transformers' LabelSmoother.
void cross_entropy(float* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                   const CrossEntropy& options);
void cross_entropy(Bf16* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                   const CrossEntropy& options);
void cross_entropy(F16* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                   const CrossEntropy& options);

}  // namespace lathe::kernels
