#include "engine/rmsprop.h"

#include <cmath>

#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {
namespace {

/// A parameter's tensor of those; nullptr where there are none.
float* elements_of(const std::vector<at::Tensor>& tensors, size_t parameter) {
  return tensors.empty() ? nullptr : ops::mutable_elements<float>(tensors[parameter]);
}

}  // namespace

Rmsprop::Rmsprop(std::vector<TrainableParameter>& parameters, RmspropOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options), square_avg_(make_state()) {
  if (options_.centered) grad_avg_ = make_state();
  if (options_.momentum != 0) momentum_ = make_state();
}

void Rmsprop::update(size_t parameter, const UpdateStep& step) {
  const auto rate = static_cast<float>(step.learning_rate), decay = static_cast<float>(step.weight_decay);
  const auto alpha = static_cast<float>(options_.alpha), rest = static_cast<float>(1 - options_.alpha);
  const auto epsilon = static_cast<float>(options_.epsilon), momentum = static_cast<float>(options_.momentum);
  float* squares = elements_of(square_avg_, parameter);
  float* means = elements_of(grad_avg_, parameter);
  float* buffers = elements_of(momentum_, parameter);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    for (int64_t i = 0; i < piece.count; ++i) {
      const int64_t at = piece.begin + i;
      const float g = piece.gradient[i] + decay * piece.weight[i];
      float square = squares[at] = alpha * squares[at] + rest * g * g;
      if (means != nullptr) {
        means[at] += rest * (g - means[at]);
        square -= means[at] * means[at];
      }
      float change = g / (std::sqrt(square) + epsilon);
      if (buffers != nullptr) change = buffers[at] = momentum * buffers[at] + change;
      piece.weight[i] -= rate * change;
    }
  });
}

std::vector<StateTensor> Rmsprop::state(size_t parameter) {
  std::vector<StateTensor> state = {plain_state(".square_avg", square_avg_.at(parameter))};
  if (!grad_avg_.empty()) state.push_back(plain_state(".grad_avg", grad_avg_.at(parameter)));
  if (!momentum_.empty()) state.push_back(plain_state(".momentum_buffer", momentum_.at(parameter)));
  return state;
}

}  // namespace lathe
