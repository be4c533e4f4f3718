#include "engine/lion.h"

#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

kernels::LionStep lion_step(const LionOptions& options, const UpdateStep& step) {
  return {.rate = static_cast<float>(step.learning_rate),
          .kept = static_cast<float>(1 - step.learning_rate * step.weight_decay),
          .beta1 = static_cast<float>(options.beta1),
          .one_minus_beta1 = static_cast<float>(1 - options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .one_minus_beta2 = static_cast<float>(1 - options.beta2)};
}

Lion::Lion(std::vector<TrainableParameter>& parameters, LionOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options), exp_avg_(make_state()) {}

void Lion::update(size_t parameter, const UpdateStep& step) {
  const kernels::LionStep numbers = lion_step(options_, step);
  float* mean = ops::mutable_elements<float>(exp_avg_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    kernels::lion(piece.weight, piece.gradient, mean + piece.begin, piece.count, numbers);
  });
}

std::vector<StateTensor> Lion::state(size_t parameter) {
  return {plain_state(".exp_avg", exp_avg_.at(parameter))};
}

}  // namespace lathe
