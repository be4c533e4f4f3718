#pragma once
// What the optimizers beside AdamW do to a flat range of fp32 weights, each in the order of operations of its source
// (docs/numerics.md). Plain loops that the compiler makes vectors of: results are the same on every processor.
// Single-threaded; safe to call concurrently on disjoint ranges. No two arguments overlap.
#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/bf16.h"

namespace lathe::kernels {

/// gradient · scale in fp32. @param gradient [count]  @param out [count]
void scale_gradient(const float* gradient, float scale, float* out, int64_t count);
void scale_gradient(const Bf16* gradient, float scale, float* out, int64_t count);

struct SgdStep {
  float rate, decay;  ///< decay is added to the gradient, as in Adam, Adagrad and RMSprop
  float momentum;
  float share;  ///< of the gradient in its mean: 1 - dampening, 1 at the first update
  bool nesterov;
};
/// @param weight [count], updated  @param gradient [count]  @param mean [count], updated; nullptr without momentum
void sgd(float* weight, const float* gradient, float* mean, int64_t count, const SgdStep& step);

struct AdagradStep {
  float rate, decay, epsilon;
};
/// @param sum [count] of squares, updated
void adagrad(float* weight, const float* gradient, float* sum, int64_t count, const AdagradStep& step);

struct RmspropStep {
  float rate, decay, epsilon;
  float alpha, one_minus_alpha;
  float momentum;
};
/// @param square [count] mean of squares, updated  @param mean [count] of gradients, updated; nullptr: not centered
/// @param buffer [count] updated; nullptr: no momentum
void rmsprop(float* weight, const float* gradient, float* square, float* mean, float* buffer, int64_t count,
             const RmspropStep& step);

struct LionStep {
  float rate, kept;  ///< kept: 1 - rate · weight decay
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
};
/// @param mean [count], updated
void lion(float* weight, const float* gradient, float* mean, int64_t count, const LionStep& step);

/// Adam with decay in the gradient. @param mean, square [count], updated
/// @param step its moments and its step; its own decay and gradient scale are not read
void adam(float* weight, const float* gradient, float* mean, float* square, int64_t count, const AdamWStep& step,
          float decay);

struct AdEMAMixStep {
  float rate, kept;  ///< kept: 1 - rate · weight decay
  float beta1, one_minus_beta1, beta2, one_minus_beta2, beta3, one_minus_beta3;
  float alpha;                          ///< weight of the slow mean
  float correction1, root_correction2;  ///< 1 - beta1^t, sqrt(1 - beta2^t)
  float epsilon;
};
/// @param mean, slow, square [count], updated
void ademamix(float* weight, const float* gradient, float* mean, float* slow, float* square, int64_t count,
              const AdEMAMixStep& step);

/// weight ← weight · kept - rate · gradient · factors, of which each element has its own.
void scaled_step(float* weight, const float* gradient, const float* factors, int64_t count, float kept, float rate);
/// values ← values · factors. @param values, factors [count]
void multiply(float* values, const float* factors, int64_t count);
/// sums ← sums + values². @param values [count]  @param sums [count]
void add_squares(const float* values, double* sums, int64_t count);

}  // namespace lathe::kernels
