#include "engine/adamw_8bit.h"

#include "engine/moments_8bit.h"

namespace lathe {

AdamW8bit::AdamW8bit(std::vector<TrainableParameter>& parameters, AdamWOptions options)
    : Optimizer(parameters, options.weight_decay),
      options_(options),
      exp_avg_(zero_moments(parameters)),
      exp_avg_sq_(zero_moments(parameters)) {}

void AdamW8bit::update(size_t parameter, const UpdateStep& step) {
  const TrainableParameter& of = parameters()[parameter];
  const ops::BlockwiseMoment &m = exp_avg_[parameter], &v = exp_avg_sq_[parameter];
  const kernels::AdamWStep numbers =
      kernels::adamw_step(step.learning_rate, options_.beta1, options_.beta2, options_.epsilon, step.weight_decay,
                          step.step, step.gradient_scale);
  if (m.absmax.defined()) {
    ops::adamw_8bit(of.master, of.gradient, m, v, numbers);
  } else {
    ops::adamw(of.master, of.gradient, m.codes, v.codes, numbers);
  }
}

std::vector<StateTensor> AdamW8bit::state(size_t parameter) {
  std::vector<StateTensor> state;
  add_state(state, ".exp_avg", exp_avg_.at(parameter));
  add_state(state, ".exp_avg_sq", exp_avg_sq_.at(parameter));
  return state;
}

}  // namespace lathe
