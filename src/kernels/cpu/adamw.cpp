#include "kernels/adamw.h"

#include <cmath>

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/adamw.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

void adamw_range(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
                 const AdamWStep& step) {
  const D d;
  const V decay = hn::Set(d, step.decay), scale = hn::Set(d, step.gradient_scale);
  const V weight1 = hn::Set(d, step.one_minus_beta1), beta2 = hn::Set(d, step.beta2);
  const V weight2 = hn::Set(d, step.one_minus_beta2), root2 = hn::Set(d, step.root_correction2);
  const V epsilon = hn::Set(d, step.epsilon), step_size = hn::Set(d, step.step_size);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    const V g = hn::Mul(load(gradient + i, part), scale);
    const V m_before = load(exp_avg + i, part);
    const V m = hn::MulAdd(weight1, hn::Sub(g, m_before), m_before);
    const V v = hn::Add(hn::Mul(load(exp_avg_sq + i, part), beta2), hn::Mul(hn::Mul(weight2, g), g));
    const V denominator = hn::Add(hn::Div(hn::Sqrt(v), root2), epsilon);
    const V p = hn::Mul(load(parameter + i, part), decay);
    store(m, exp_avg + i, part);
    store(v, exp_avg_sq + i, part);
    store(hn::Sub(p, hn::Div(hn::Mul(step_size, m), denominator)), parameter + i, part);
  });
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(adamw_range);

AdamWStep adamw_step(double learning_rate, double beta1, double beta2, double epsilon, double weight_decay,
                     int64_t step, double gradient_scale) {
  const auto count = static_cast<double>(step);
  const double correction1 = 1 - std::pow(beta1, count), correction2 = 1 - std::pow(beta2, count);
  return {.decay = static_cast<float>(1 - learning_rate * weight_decay),
          .one_minus_beta1 = static_cast<float>(1 - beta1),
          .beta2 = static_cast<float>(beta2),
          .one_minus_beta2 = static_cast<float>(1 - beta2),
          .step_size = static_cast<float>(learning_rate / correction1),
          .root_correction2 = static_cast<float>(std::sqrt(correction2)),
          .epsilon = static_cast<float>(epsilon),
          .gradient_scale = static_cast<float>(gradient_scale)};
}

void adamw(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
           const AdamWStep& step) {
  HWY_DYNAMIC_DISPATCH(adamw_range)(parameter, gradient, exp_avg, exp_avg_sq, count, step);
}

}  // namespace lathe::kernels
#endif
