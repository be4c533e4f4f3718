#pragma once
// One AdamW update of a flat range (Loshchilov & Hutter 2019), with the order of operations of torch.optim.AdamW on a
// CPU. Single-threaded; safe to call concurrently on disjoint ranges.
#include <cstdint>

#include "kernels/split_master.h"
#include "kernels/stochastic_rounding.h"

namespace lathe::kernels {

/// The scalars of one step, worked out once in double.
struct AdamWStep {
  float decay;  ///< 1 - learning rate · weight decay
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float step_size;         ///< learning rate / (1 - beta1^t)
  float root_correction2;  ///< sqrt(1 - beta2^t)
  float epsilon;
  float gradient_scale;  ///< multiplies every gradient first (clipping)
};

/// @param step t, 1 at the first update
[[nodiscard]] AdamWStep adamw_step(double learning_rate, double beta1, double beta2, double epsilon,
                                   double weight_decay, int64_t step, double gradient_scale);

/// @param parameter, exp_avg, exp_avg_sq [count], updated  @param gradient [count]
void adamw(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
           const AdamWStep& step);
/// The same on weights kept in two halves: to the bit what fp32 weights would give, but for what a half cannot hold.
void adamw(SplitMaster parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
           const AdamWStep& step);
void adamw(SplitMaster parameter, const Bf16* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
           const AdamWStep& step);
/// The same on bf16 weights without a master: what fp32 weights would give, rounded by a draw.
/// @param first where the range begins in the parameter, for its draws; a multiple of kDropoutBlock
void adamw(Bf16* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t first, int64_t count,
           const AdamWStep& step, const RoundingDraw& draw);
void adamw(Bf16* parameter, const Bf16* gradient, float* exp_avg, float* exp_avg_sq, int64_t first, int64_t count,
           const AdamWStep& step, const RoundingDraw& draw);

}  // namespace lathe::kernels
