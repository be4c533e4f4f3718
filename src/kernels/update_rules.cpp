#include "kernels/update_rules.h"

#include <bit>
#include <cmath>

namespace lathe::kernels {
namespace {

/// Two loops are vectors, one with a question in it is none: the questions are asked here.
template <bool kMomentum, bool kNesterov>
void sgd_loop(float* __restrict__ w, const float* __restrict__ gradient, float* __restrict__ mean, int64_t count,
              const SgdStep step) {
  for (int64_t i = 0; i < count; ++i) {
    float g = gradient[i] + step.decay * w[i];
    if constexpr (kMomentum) {
      const float m = step.momentum * mean[i] + step.share * g;
      mean[i] = m;
      g = kNesterov ? g + step.momentum * m : m;
    }
    w[i] -= step.rate * g;
  }
}

template <bool kCentered, bool kMomentum>
void rmsprop_loop(float* __restrict__ w, const float* __restrict__ gradient, float* __restrict__ square,
                  float* __restrict__ mean, float* __restrict__ buffer, int64_t count, const RmspropStep step) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] + step.decay * w[i];
    float s = step.alpha * square[i] + step.one_minus_alpha * g * g;
    square[i] = s;
    if constexpr (kCentered) {
      const float m = mean[i] + step.one_minus_alpha * (g - mean[i]);
      mean[i] = m;
      s -= m * m;
    }
    float change = g / (std::sqrt(s) + step.epsilon);
    if constexpr (kMomentum) {
      change += step.momentum * buffer[i];
      buffer[i] = change;
    }
    w[i] -= step.rate * change;
  }
}

}  // namespace

void scale_gradient(const float* __restrict__ gradient, float scale, float* __restrict__ out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = gradient[i] * scale;
}

void scale_gradient(const Bf16* __restrict__ gradient, float scale, float* __restrict__ out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = std::bit_cast<float>(static_cast<uint32_t>(gradient[i]) << 16U) * scale;
}

void sgd(float* weight, const float* gradient, float* mean, int64_t count, const SgdStep& step) {
  if (mean == nullptr) return sgd_loop<false, false>(weight, gradient, nullptr, count, step);
  if (step.nesterov) return sgd_loop<true, true>(weight, gradient, mean, count, step);
  sgd_loop<true, false>(weight, gradient, mean, count, step);
}

void adagrad(float* __restrict__ weight, const float* __restrict__ gradient, float* __restrict__ sum, int64_t count,
             const AdagradStep& given) {
  const AdagradStep step = given;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] + step.decay * weight[i], s = sum[i] + g * g;
    sum[i] = s;
    weight[i] -= step.rate * (g / (std::sqrt(s) + step.epsilon));
  }
}

void rmsprop(float* weight, const float* gradient, float* square, float* mean, float* buffer, int64_t count,
             const RmspropStep& step) {
  const bool centered = mean != nullptr, momentum = buffer != nullptr;
  if (centered && momentum) return rmsprop_loop<true, true>(weight, gradient, square, mean, buffer, count, step);
  if (centered) return rmsprop_loop<true, false>(weight, gradient, square, mean, buffer, count, step);
  if (momentum) return rmsprop_loop<false, true>(weight, gradient, square, mean, buffer, count, step);
  rmsprop_loop<false, false>(weight, gradient, square, mean, buffer, count, step);
}

void lion(float* __restrict__ weight, const float* __restrict__ gradient, float* __restrict__ mean, int64_t count,
          const LionStep& given) {
  const LionStep step = given;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i], m = mean[i], direction = step.beta1 * m + step.one_minus_beta1 * g;
    const float away = direction < 0 ? step.rate : 0.0F;
    const float move = direction > 0 ? -step.rate : away;
    weight[i] = weight[i] * step.kept + move;
    mean[i] = step.beta2 * m + step.one_minus_beta2 * g;
  }
}

void adam(float* __restrict__ weight, const float* __restrict__ gradient, float* __restrict__ mean,
          float* __restrict__ square, int64_t count, const AdamWStep& given, float decay) {
  const AdamWStep step = given;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] + decay * weight[i];
    const float m = mean[i] + step.one_minus_beta1 * (g - mean[i]);
    const float s = step.beta2 * square[i] + step.one_minus_beta2 * g * g;
    mean[i] = m;
    square[i] = s;
    weight[i] -= step.step_size * m / (std::sqrt(s) / step.root_correction2 + step.epsilon);
  }
}

void ademamix(float* __restrict__ weight, const float* __restrict__ gradient, float* __restrict__ mean,
              float* __restrict__ slow, float* __restrict__ square, int64_t count, const AdEMAMixStep& given) {
  const AdEMAMixStep step = given;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i];
    const float m = step.beta1 * mean[i] + step.one_minus_beta1 * g,
                l = step.beta3 * slow[i] + step.one_minus_beta3 * g;
    const float s = step.beta2 * square[i] + step.one_minus_beta2 * g * g;
    mean[i] = m;
    slow[i] = l;
    square[i] = s;
    const float mixed = m / step.correction1 + step.alpha * l;
    weight[i] = weight[i] * step.kept - step.rate * (mixed / (std::sqrt(s) / step.root_correction2 + step.epsilon));
  }
}

void scaled_step(float* __restrict__ weight, const float* __restrict__ gradient, const float* __restrict__ factors,
                 int64_t count, float kept, float rate) {
  for (int64_t i = 0; i < count; ++i) weight[i] = weight[i] * kept - rate * (gradient[i] * factors[i]);
}

void multiply(float* __restrict__ values, const float* __restrict__ factors, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] *= factors[i];
}

void add_squares(const float* __restrict__ values, double* __restrict__ sums, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
}

}  // namespace lathe::kernels
