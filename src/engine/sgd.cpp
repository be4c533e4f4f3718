#include "engine/sgd.h"

#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Sgd::Sgd(std::vector<TrainableParameter>& parameters, SgdOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options) {
  if (options_.momentum != 0) momentum_ = make_state();
}

void Sgd::update(size_t parameter, const UpdateStep& step) {
  const auto rate = static_cast<float>(step.learning_rate), decay = static_cast<float>(step.weight_decay);
  const auto momentum = static_cast<float>(options_.momentum);
  const auto share = step.step == 1 ? 1.0F : static_cast<float>(1 - options_.dampening);
  float* all = momentum_.empty() ? nullptr : ops::mutable_elements<float>(momentum_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    float* mean = all == nullptr ? nullptr : all + piece.begin;
    for (int64_t i = 0; i < piece.count; ++i) {
      float g = piece.gradient[i] + decay * piece.weight[i];
      if (mean != nullptr) {
        mean[i] = momentum * mean[i] + share * g;
        g = options_.nesterov ? g + momentum * mean[i] : mean[i];
      }
      piece.weight[i] -= rate * g;
    }
  });
}

std::vector<StateTensor> Sgd::state(size_t parameter) {
  if (momentum_.empty()) return {};
  return {plain_state(".momentum_buffer", momentum_.at(parameter))};
}

}  // namespace lathe
