#include "engine/adam.h"

#include "kernels/update_rules.h"
#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Adam::Adam(std::vector<TrainableParameter>& parameters, AdamWOptions options)
    : Optimizer(parameters, options.weight_decay),
      options_(options),
      exp_avg_(make_state()),
      exp_avg_sq_(make_state()) {}

void Adam::update(size_t parameter, const UpdateStep& step) {
  const kernels::AdamWStep both =
      kernels::adamw_step(step.learning_rate, options_.beta1, options_.beta2, options_.epsilon, 0, step.step, 1);
  const kernels::AdamStep numbers{.decay = static_cast<float>(step.weight_decay),
                                  .one_minus_beta1 = both.one_minus_beta1,
                                  .beta2 = both.beta2,
                                  .one_minus_beta2 = both.one_minus_beta2,
                                  .step_size = both.step_size,
                                  .root_correction2 = both.root_correction2,
                                  .epsilon = both.epsilon};
  float* mean = ops::mutable_elements<float>(exp_avg_[parameter]);
  float* square = ops::mutable_elements<float>(exp_avg_sq_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    kernels::adam(piece.weight, piece.gradient, mean + piece.begin, square + piece.begin, piece.count, numbers);
  });
}

std::vector<StateTensor> Adam::state(size_t parameter) {
  return {plain_state(".exp_avg", exp_avg_.at(parameter)), plain_state(".exp_avg_sq", exp_avg_sq_.at(parameter))};
}

}  // namespace lathe
