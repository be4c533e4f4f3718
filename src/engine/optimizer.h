#pragma once
// AdamW and gradient clipping with torch's meaning.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/trainable.h"

namespace lathe {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
};

/// sqrt of the sum of squares of all gradients, added up in double. NaN or infinity when a gradient holds one.
[[nodiscard]] double gradient_norm(const std::vector<TrainableParameter>& parameters);

/// What gradients are multiplied by so that their norm is at most max_norm: max_norm / (norm + 1e-6), at most 1, as
/// torch.nn.utils.clip_grad_norm_. max_norm <= 0: 1.
[[nodiscard]] double clip_coefficient(double norm, double max_norm);

/// Loshchilov & Hutter 2019 as torch.optim.AdamW computes it: decay is taken from the weights before the step, apart
/// from the gradient; state in fp32. Parameters without `decay` (biases, norms) are never decayed.
class AdamW {
 public:
  struct Moments {
    at::Tensor exp_avg, exp_avg_sq;  ///< fp32, the parameter's shape
  };

  /// @param parameters have to outlive the optimizer; their masters are updated in place.
  AdamW(std::vector<TrainableParameter>& parameters, AdamWOptions options);

  /// One update with that rate. @param gradient_scale multiplies every gradient first (clipping).
  /// @param before called with each parameter's index before anything of it changes (a checkpoint may be reading it).
  void step(double learning_rate, double gradient_scale = 1, const std::function<void(size_t)>& before = nullptr);

  /// Moments by parameter, in the order of parameters; for checkpoints.
  [[nodiscard]] std::vector<Moments>& moments() { return moments_; }
  [[nodiscard]] const std::vector<Moments>& moments() const { return moments_; }
  [[nodiscard]] int64_t num_steps() const { return num_steps_; }
  void set_num_steps(int64_t steps) { num_steps_ = steps; }

 private:
  std::vector<TrainableParameter>& parameters_;
  AdamWOptions options_;
  std::vector<Moments> moments_;
  int64_t num_steps_ = 0;
};

}  // namespace lathe
