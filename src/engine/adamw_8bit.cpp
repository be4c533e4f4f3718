#include "engine/adamw_8bit.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include "base/memory_ledger.h"
#include "config/optimizer_bytes.h"
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
    : Optimizer(parameters, options.weight_decay), options_(options) {
  const MemoryScope scope(MemoryClass::kOptimizer);
  for (const TrainableParameter& parameter : parameters) {
    LATHE_ASSERT(parameter.master.weight.is_cpu());
    moments_.push_back({zero_moment(parameter), zero_moment(parameter)});
  }
}

void AdamW8bit::update(size_t parameter, const UpdateStep& step) {
  const TrainableParameter& of = parameters()[parameter];
  const auto& [exp_avg, exp_avg_sq] = moments_[parameter];
  const kernels::AdamWStep numbers =
      kernels::adamw_step(step.learning_rate, options_.beta1, options_.beta2, options_.epsilon, step.weight_decay,
                          step.step, step.gradient_scale);
  if (exp_avg.absmax.defined()) {
    ops::adamw_8bit(of.master, of.gradient, exp_avg, exp_avg_sq, numbers);
  } else {
    ops::adamw(of.master, of.gradient, exp_avg.codes, exp_avg_sq.codes, numbers);
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
