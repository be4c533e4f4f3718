#include "engine/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/memory_ledger.h"

namespace lathe {

double gradient_norm(const std::vector<TrainableParameter>& parameters) {
  double sum = 0;
  for (const TrainableParameter& parameter : parameters) {
    // One parameter's norm in fp32 as torch takes it; across parameters in double.
    const double norm = at::linalg_vector_norm(parameter.gradient).item<double>();
    sum += norm * norm;
  }
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

void AdamW::step(double learning_rate, double gradient_scale) {
  ++num_steps_;
  const auto count = static_cast<double>(num_steps_);
  const double correction1 = 1 - std::pow(options_.beta1, count), correction2 = 1 - std::pow(options_.beta2, count);
  const double step_size = learning_rate / correction1, root_correction2 = std::sqrt(correction2);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    TrainableParameter& parameter = parameters_[i];
    Moments& moments = moments_[i];
    if (gradient_scale != 1) parameter.gradient.mul_(gradient_scale);
    if (parameter.decay && options_.weight_decay != 0) {
      parameter.master.mul_(1 - learning_rate * options_.weight_decay);
    }
    moments.exp_avg.lerp_(parameter.gradient, 1 - options_.beta1);
    moments.exp_avg_sq.mul_(options_.beta2).addcmul_(parameter.gradient, parameter.gradient, 1 - options_.beta2);
    at::Tensor denominator = moments.exp_avg_sq.sqrt().div_(root_correction2).add_(options_.epsilon);
    parameter.master.addcdiv_(moments.exp_avg, denominator, -step_size);
  }
}

}  // namespace lathe
