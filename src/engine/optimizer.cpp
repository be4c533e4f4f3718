#include "engine/optimizer.h"

#include <algorithm>
#include <cmath>

#include "ops/update.h"

namespace lathe {

double gradient_norm(const std::vector<TrainableParameter>& parameters) {
  double sum = 0;
  for (const TrainableParameter& parameter : parameters) sum += ops::sum_of_squares(parameter.gradient);
  return std::sqrt(sum);
}

double clip_coefficient(double norm, double max_norm) {
  if (max_norm <= 0) return 1;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

void Optimizer::step(double learning_rate, double gradient_scale, const BeforeParameter& before) {
  update(++num_steps_, learning_rate, gradient_scale, before);
}

}  // namespace lathe
