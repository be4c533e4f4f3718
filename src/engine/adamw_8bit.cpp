#include "engine/adamw_8bit.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include "base/memory_ledger.h"
#include "config/moments_8bit.h"
#include "ops/cpu_allocator.h"

namespace lathe {
namespace {

bool in_8bit(const TrainableParameter& parameter) {
  return parameter.master.weight.numel() >= kMin8bitElements && parameter.id.site != Site::kEmbedTokens;
}

ops::BlockwiseMoment zero_moment(const TrainableParameter& parameter) {
  const at::Tensor& weight = parameter.master.weight;
  if (!in_8bit(parameter)) return {untouched_zeros_like(weight, at::kFloat), {}};
  const int64_t blocks = (weight.numel() + kernels::kDynamicBlock - 1) / kernels::kDynamicBlock;
  return {untouched_zeros_like(weight, at::kByte), untouched_zeros({blocks}, at::kFloat)};
}

}  // namespace

AdamW8bit::AdamW8bit(std::vector<TrainableParameter>& parameters, AdamWOptions options)
    : parameters_(parameters), options_(options) {
  const MemoryScope scope(MemoryClass::kOptimizer);
  for (const TrainableParameter& parameter : parameters_) {
    LATHE_ASSERT(parameter.master.weight.is_cpu());
    moments_.push_back({zero_moment(parameter), zero_moment(parameter)});
  }
}

void AdamW8bit::update(int64_t step, double learning_rate, double gradient_scale, const BeforeParameter& before) {
  const auto step_with = [&](double weight_decay) {
    return kernels::adamw_step(learning_rate, options_.beta1, options_.beta2, options_.epsilon, weight_decay, step,
                               gradient_scale);
  };
  const kernels::AdamWStep decayed = step_with(options_.weight_decay), plain = step_with(0);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (before) before(i);
    const TrainableParameter& parameter = parameters_[i];
    const auto& [exp_avg, exp_avg_sq] = moments_[i];
    const kernels::AdamWStep& of = parameter.decay ? decayed : plain;
    if (exp_avg.absmax.defined()) {
      ops::adamw_8bit(parameter.master, parameter.gradient, exp_avg, exp_avg_sq, of);
    } else {
      ops::adamw(parameter.master, parameter.gradient, exp_avg.codes, exp_avg_sq.codes, of);
    }
  }
}

std::vector<StateTensor> AdamW8bit::state(size_t parameter) {
  const auto& [exp_avg, exp_avg_sq] = moments_.at(parameter);
  std::vector<StateTensor> state = {plain_state(".exp_avg", exp_avg.codes),
                                    plain_state(".exp_avg_sq", exp_avg_sq.codes)};
  if (exp_avg.absmax.defined()) {
    state.push_back(plain_state(".exp_avg_absmax", exp_avg.absmax));
    state.push_back(plain_state(".exp_avg_sq_absmax", exp_avg_sq.absmax));
  }
  return state;
}

}  // namespace lathe
