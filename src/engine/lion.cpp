#include "engine/lion.h"

#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Lion::Lion(std::vector<TrainableParameter>& parameters, LionOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options), exp_avg_(make_state()) {}

void Lion::update(size_t parameter, const UpdateStep& step) {
  const auto rate = static_cast<float>(step.learning_rate);
  const auto kept = static_cast<float>(1 - step.learning_rate * step.weight_decay);
  const auto beta1 = static_cast<float>(options_.beta1), rest1 = static_cast<float>(1 - options_.beta1);
  const auto beta2 = static_cast<float>(options_.beta2), rest2 = static_cast<float>(1 - options_.beta2);
  float* all = ops::mutable_elements<float>(exp_avg_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    float* mean = all + piece.begin;
    for (int64_t i = 0; i < piece.count; ++i) {
      const float g = piece.gradient[i], direction = beta1 * mean[i] + rest1 * g;
      const float sign = static_cast<float>(direction > 0) - static_cast<float>(direction < 0);
      piece.weight[i] = piece.weight[i] * kept - rate * sign;
      mean[i] = beta2 * mean[i] + rest2 * g;
    }
  });
}

std::vector<StateTensor> Lion::state(size_t parameter) {
  return {plain_state(".exp_avg", exp_avg_.at(parameter))};
}

}  // namespace lathe
