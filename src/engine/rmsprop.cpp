#include "engine/rmsprop.h"

#include "kernels/update_rules.h"
#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Rmsprop::Rmsprop(std::vector<TrainableParameter>& parameters, RmspropOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options), square_avg_(make_state()) {
  if (options_.centered) grad_avg_ = make_state();
  if (options_.momentum != 0) momentum_ = make_state();
}

void Rmsprop::update(size_t parameter, const UpdateStep& step) {
  const kernels::RmspropStep numbers{.rate = static_cast<float>(step.learning_rate),
                                     .decay = static_cast<float>(step.weight_decay),
                                     .epsilon = static_cast<float>(options_.epsilon),
                                     .alpha = static_cast<float>(options_.alpha),
                                     .one_minus_alpha = static_cast<float>(1 - options_.alpha),
                                     .momentum = static_cast<float>(options_.momentum)};
  const auto from = [&](const std::vector<at::Tensor>& tensors, int64_t begin) {
    return tensors.empty() ? nullptr : ops::mutable_elements<float>(tensors[parameter]) + begin;
  };
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    kernels::rmsprop(piece.weight, piece.gradient, from(square_avg_, piece.begin), from(grad_avg_, piece.begin),
                     from(momentum_, piece.begin), piece.count, numbers);
  });
}

std::vector<StateTensor> Rmsprop::state(size_t parameter) {
  std::vector<StateTensor> state = {plain_state(".square_avg", square_avg_.at(parameter))};
  if (!grad_avg_.empty()) state.push_back(plain_state(".grad_avg", grad_avg_.at(parameter)));
  if (!momentum_.empty()) state.push_back(plain_state(".momentum_buffer", momentum_.at(parameter)));
  return state;
}

}  // namespace lathe
