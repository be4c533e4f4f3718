#pragma once
#include <cmath>

#include "kernels/adamw.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// As kernels::adamw.
inline void adamw(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
                  const AdamWStep& step) {
  for (int64_t i = 0; i < count; ++i) {
    const double g = wide(gradient[i]) * wide(step.gradient_scale);
    const double m = wide(exp_avg[i]) + wide(step.one_minus_beta1) * (g - wide(exp_avg[i]));
    const double v = wide(step.beta2) * wide(exp_avg_sq[i]) + wide(step.one_minus_beta2) * g * g;
    const double denominator = std::sqrt(v) / wide(step.root_correction2) + wide(step.epsilon);
    exp_avg[i] = static_cast<float>(m);
    exp_avg_sq[i] = static_cast<float>(v);
    parameter[i] = static_cast<float>(wide(step.decay) * wide(parameter[i]) - wide(step.step_size) * m / denominator);
  }
}

}  // namespace lathe::kernels::reference
