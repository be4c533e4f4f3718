#include "engine/lion_8bit.h"

#include <ATen/ATen.h>

#include "engine/moments_8bit.h"
#include "kernels/update_rules.h"
#include "ops/elements.h"

namespace lathe {
namespace {

/// The part of a mean that belongs to one piece, opened.
void update_piece(const ops::UpdatePiece& piece, const ops::BlockwiseMoment& mean, const kernels::LionStep& numbers) {
  static_assert(ops::kUpdatePiece % kernels::kDynamicBlock == 0, "a scale belongs to one piece");
  float values[ops::kUpdatePiece];
  uint8_t* codes = ops::mutable_elements<uint8_t>(mean.codes) + piece.begin;
  float* absmax = ops::mutable_elements<float>(mean.absmax) + piece.begin / kernels::kDynamicBlock;
  kernels::dequantize_blockwise(codes, absmax, values, piece.count, kernels::DynamicMap::kSigned);
  kernels::lion(piece.weight, piece.gradient, values, piece.count, numbers);
  kernels::quantize_blockwise(values, codes, absmax, piece.count, kernels::DynamicMap::kSigned);
}

}  // namespace

Lion8bit::Lion8bit(std::vector<TrainableParameter>& parameters, LionOptions options)
    : Optimizer(parameters, options.weight_decay), options_(options), exp_avg_(zero_moments(parameters)) {}

void Lion8bit::update(size_t parameter, const UpdateStep& step) {
  const kernels::LionStep numbers = lion_step(options_, step);
  const ops::BlockwiseMoment& mean = exp_avg_[parameter];
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    if (mean.absmax.defined()) return update_piece(piece, mean, numbers);
    float* values = ops::mutable_elements<float>(mean.codes) + piece.begin;
    kernels::lion(piece.weight, piece.gradient, values, piece.count, numbers);
  });
}

std::vector<StateTensor> Lion8bit::state(size_t parameter) {
  std::vector<StateTensor> state;
  add_state(state, ".exp_avg", exp_avg_.at(parameter));
  return state;
}

}  // namespace lathe
