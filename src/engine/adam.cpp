#include "engine/adam.h"

#include <cmath>

#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Adam::Adam(std::vector<TrainableParameter>& parameters, AdamWOptions options)
    : Optimizer(parameters, options.weight_decay),
      options_(options),
      exp_avg_(make_state()),
      exp_avg_sq_(make_state()) {}

void Adam::update(size_t parameter, const UpdateStep& step) {
  const kernels::AdamWStep numbers =
      kernels::adamw_step(step.learning_rate, options_.beta1, options_.beta2, options_.epsilon, 0, step.step, 1);
  const auto decay = static_cast<float>(step.weight_decay);
  float* means = ops::mutable_elements<float>(exp_avg_[parameter]);
  float* squares = ops::mutable_elements<float>(exp_avg_sq_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    float* m = means + piece.begin;
    float* v = squares + piece.begin;
    for (int64_t i = 0; i < piece.count; ++i) {
      const float g = piece.gradient[i] + decay * piece.weight[i];
      m[i] += numbers.one_minus_beta1 * (g - m[i]);
      v[i] = numbers.beta2 * v[i] + numbers.one_minus_beta2 * g * g;
      piece.weight[i] -= numbers.step_size * m[i] / (std::sqrt(v[i]) / numbers.root_correction2 + numbers.epsilon);
    }
  });
}

std::vector<StateTensor> Adam::state(size_t parameter) {
  return {plain_state(".exp_avg", exp_avg_.at(parameter)), plain_state(".exp_avg_sq", exp_avg_sq_.at(parameter))};
}

}  // namespace lathe
