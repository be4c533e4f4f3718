#include "engine/adafactor.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include <cmath>

#include "base/memory_ledger.h"
#include "ops/adafactor.h"
#include "ops/cpu_allocator.h"

namespace lathe {

Adafactor::Adafactor(std::vector<TrainableParameter>& given, double weight_decay) : Optimizer(given, weight_decay) {
  const MemoryScope scope(MemoryClass::kOptimizer);
  for (const TrainableParameter& parameter : parameters()) {
    const at::Tensor& weight = parameter.master.weight;
    LATHE_ASSERT(weight.dim() <= 2);
    if (weight.dim() < 2) {
      squares_.push_back({.all = untouched_zeros_like(weight, at::kFloat)});
    } else {
      squares_.push_back({.rows = untouched_zeros({weight.size(0)}, at::kFloat),
                          .columns = untouched_zeros({weight.size(1)}, at::kFloat)});
    }
  }
}

void Adafactor::update(size_t parameter, const UpdateStep& step) {
  const ops::AdafactorStep numbers{.learning_rate = step.learning_rate,
                                   .weight_decay = step.weight_decay,
                                   .gradient_scale = step.gradient_scale,
                                   .beta2 = 1 - std::pow(static_cast<double>(step.step), -0.8)};
  const TrainableParameter& of = parameters()[parameter];
  const Squares& squares = squares_[parameter];
  if (squares.all.defined()) {
    ops::adafactor_vector(of.master, of.gradient, squares.all, numbers);
  } else {
    ops::adafactor_matrix(of.master, of.gradient, squares.rows, squares.columns, numbers);
  }
}

std::vector<StateTensor> Adafactor::state(size_t parameter) {
  const Squares& squares = squares_.at(parameter);
  if (squares.all.defined()) return {plain_state(".exp_avg_sq", squares.all)};
  return {plain_state(".exp_avg_sq_row", squares.rows), plain_state(".exp_avg_sq_col", squares.columns)};
}

}  // namespace lathe
