#include "engine/adam.h"

#include "kernels/update_rules.h"
#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {

void Adam::update(size_t parameter, const UpdateStep& step) {
  const kernels::AdamWStep numbers =
      kernels::adamw_step(step.learning_rate, options_.beta1, options_.beta2, options_.epsilon, 0, step.step, 1);
  const auto decay = static_cast<float>(step.weight_decay);
  float* mean = ops::mutable_elements<float>(exp_avg_[parameter]);
  float* square = ops::mutable_elements<float>(exp_avg_sq_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    kernels::adam(piece.weight, piece.gradient, mean + piece.begin, square + piece.begin, piece.count, numbers, decay);
  });
}

}  // namespace lathe
