#include "engine/adagrad.h"

#include "kernels/update_rules.h"
#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Adagrad::Adagrad(std::vector<TrainableParameter>& parameters, AdagradOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options), sum_(make_state()) {}

void Adagrad::update(size_t parameter, const UpdateStep& step) {
  const auto past = static_cast<double>(step.step - 1);
  const kernels::AdagradStep numbers{.rate = static_cast<float>(step.learning_rate / (1 + past * options_.lr_decay)),
                                     .decay = static_cast<float>(step.weight_decay),
                                     .epsilon = static_cast<float>(options_.epsilon)};
  float* sum = ops::mutable_elements<float>(sum_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    kernels::adagrad(piece.weight, piece.gradient, sum + piece.begin, piece.count, numbers);
  });
}

std::vector<StateTensor> Adagrad::state(size_t parameter) {
  return {plain_state(".sum", sum_.at(parameter))};
}

}  // namespace lathe
