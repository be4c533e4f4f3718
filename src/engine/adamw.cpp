#include "engine/adamw.h"

#include <ATen/ATen.h>

#include "base/memory_ledger.h"
#include "ops/cpu_allocator.h"
#include "ops/update.h"

namespace lathe {

AdamW::AdamW(std::vector<TrainableParameter>& parameters, AdamWOptions options)
    : parameters_(parameters), options_(options) {
  const MemoryScope scope(MemoryClass::kOptimizer);
  for (const TrainableParameter& parameter : parameters_) {
    const at::Tensor& weight = parameter.master.weight;
    moments_.push_back({untouched_zeros_like(weight, at::kFloat), untouched_zeros_like(weight, at::kFloat)});
  }
}

void AdamW::update(int64_t step, double learning_rate, double gradient_scale, const BeforeParameter& before) {
  const auto step_with = [&](double weight_decay) {
    return kernels::adamw_step(learning_rate, options_.beta1, options_.beta2, options_.epsilon, weight_decay, step,
                               gradient_scale);
  };
  const kernels::AdamWStep decayed = step_with(options_.weight_decay), plain = step_with(0);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (before) before(i);
    const TrainableParameter& parameter = parameters_[i];
    ops::adamw(parameter.master, parameter.gradient, moments_[i].exp_avg, moments_[i].exp_avg_sq,
               parameter.decay ? decayed : plain, {options_.rounding_seed, static_cast<uint32_t>(i), step});
  }
}

std::vector<StateTensor> AdamW::state(size_t parameter) {
  const Moments& moments = moments_.at(parameter);
  return {plain_state(".exp_avg", moments.exp_avg), plain_state(".exp_avg_sq", moments.exp_avg_sq)};
}

}  // namespace lathe
