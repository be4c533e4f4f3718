#include "engine/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/memory_ledger.h"
#include "ops/update.h"

namespace lathe {

double gradient_norm(const std::vector<TrainableParameter>& parameters) {
  double sum = 0;
  for (const TrainableParameter& parameter : parameters) sum += ops::sum_of_squares(parameter.gradient);
  return std::sqrt(sum);
}

double clip_coefficient(double norm, double max_norm) {
  if (max_norm <= 0) return 1;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

AdamW::AdamW(std::vector<TrainableParameter>& parameters, AdamWOptions options)
    : parameters_(parameters), options_(options) {
  const MemoryScope scope(MemoryClass::kOptimizer);
  for (const TrainableParameter& parameter : parameters_) {
    moments_.push_back({at::zeros_like(parameter.master), at::zeros_like(parameter.master)});
  }
}

void AdamW::step(double learning_rate, double gradient_scale, const std::function<void(size_t)>& before) {
  ++num_steps_;
  const auto step_with = [&](double weight_decay) {
    return kernels::adamw_step(learning_rate, options_.beta1, options_.beta2, options_.epsilon, weight_decay,
                               num_steps_, gradient_scale);
  };
  const kernels::AdamWStep decayed = step_with(options_.weight_decay), plain = step_with(0);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (before) before(i);
    const TrainableParameter& parameter = parameters_[i];
    const Moments& moments = moments_[i];
    ops::adamw(parameter.master, parameter.gradient, moments.exp_avg, moments.exp_avg_sq,
               parameter.decay ? decayed : plain);
  }
}

}  // namespace lathe
