#include "engine/adagrad.h"

#include <cmath>

#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Adagrad::Adagrad(std::vector<TrainableParameter>& parameters, AdagradOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options), sum_(make_state()) {}

void Adagrad::update(size_t parameter, const UpdateStep& step) {
  const auto past = static_cast<double>(step.step - 1);
  const auto rate = static_cast<float>(step.learning_rate / (1 + past * options_.lr_decay));
  const auto decay = static_cast<float>(step.weight_decay), epsilon = static_cast<float>(options_.epsilon);
  float* all = ops::mutable_elements<float>(sum_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    float* sum = all + piece.begin;
    for (int64_t i = 0; i < piece.count; ++i) {
      const float g = piece.gradient[i] + decay * piece.weight[i];
      sum[i] += g * g;
      piece.weight[i] -= rate * (g / (std::sqrt(sum[i]) + epsilon));
    }
  });
}

std::vector<StateTensor> Adagrad::state(size_t parameter) {
  return {plain_state(".sum", sum_.at(parameter))};
}

}  // namespace lathe
