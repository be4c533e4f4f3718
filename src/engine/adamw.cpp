#include "engine/adamw.h"

#include "ops/update.h"

namespace lathe {

AdamMoments::AdamMoments(std::vector<TrainableParameter>& parameters, AdamWOptions options)
    : Optimizer(parameters, options.weight_decay),
      options_(options),
      exp_avg_(make_state()),
      exp_avg_sq_(make_state()) {}

void AdamW::update(size_t parameter, const UpdateStep& step) {
  const TrainableParameter& of = parameters()[parameter];
  ops::adamw(of.master, of.gradient, exp_avg_[parameter], exp_avg_sq_[parameter],
             kernels::adamw_step(step.learning_rate, options_.beta1, options_.beta2, options_.epsilon,
                                 step.weight_decay, step.step, step.gradient_scale),
             {options_.rounding_seed, static_cast<uint32_t>(parameter), step.step});
}

std::vector<StateTensor> AdamMoments::state(size_t parameter) {
  return {plain_state(".exp_avg", exp_avg_.at(parameter)), plain_state(".exp_avg_sq", exp_avg_sq_.at(parameter))};
}

}  // namespace lathe
