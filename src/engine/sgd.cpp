#include "engine/sgd.h"

#include "kernels/update_rules.h"
#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

Sgd::Sgd(std::vector<TrainableParameter>& parameters, SgdOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options) {
  if (options_.momentum != 0) momentum_ = make_state();
}

void Sgd::update(size_t parameter, const UpdateStep& step) {
  const kernels::SgdStep numbers{.rate = static_cast<float>(step.learning_rate),
                                 .decay = static_cast<float>(step.weight_decay),
                                 .momentum = static_cast<float>(options_.momentum),
                                 .share = step.step == 1 ? 1.0F : static_cast<float>(1 - options_.dampening),
                                 .nesterov = options_.nesterov};
  float* mean = momentum_.empty() ? nullptr : ops::mutable_elements<float>(momentum_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    kernels::sgd(piece.weight, piece.gradient, mean == nullptr ? nullptr : mean + piece.begin, piece.count, numbers);
  });
}

std::vector<StateTensor> Sgd::state(size_t parameter) {
  if (momentum_.empty()) return {};
  return {plain_state(".momentum_buffer", momentum_.at(parameter))};
}

}  // namespace lathe
