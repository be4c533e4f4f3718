#include "engine/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/memory_ledger.h"
#include "ops/cpu_allocator.h"
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

void Optimizer::step(double learning_rate, double gradient_scale, const BeforeParameter& before) {
  ++num_steps_;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (before) before(i);
    const TrainableParameter& parameter = parameters_[i];
    update(i, {.step = num_steps_,
               .learning_rate = learning_rate * parameter.rate,
               .weight_decay = parameter.decay ? weight_decay_ : 0,
               .gradient_scale = gradient_scale});
  }
}

std::vector<at::Tensor> Optimizer::make_state() const {
  const MemoryScope scope(MemoryClass::kOptimizer);
  std::vector<at::Tensor> state;
  for (const TrainableParameter& parameter : parameters_) {
    state.push_back(untouched_zeros_like(parameter.master.weight, at::kFloat));
  }
  return state;
}

}  // namespace lathe
