#include "kernels/adamw.h"

#include <cmath>

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/adamw.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/adamw-inl.h"
#include "kernels/cpu/stochastic_rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

void adamw_range(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
                 const AdamWStep& step) {
  const Update update(step);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    V m = load(exp_avg + i, part), v = load(exp_avg_sq + i, part);
    const V p = update(load(parameter + i, part), load(gradient + i, part), m, v);
    store(m, exp_avg + i, part);
    store(v, exp_avg_sq + i, part);
    store(p, parameter + i, part);
  });
}

template <typename T>
void adamw_split_range(SplitMaster parameter, const T* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
                       const AdamWStep& step) {
  const Update update(step);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    V m = load(exp_avg + i, part), v = load(exp_avg_sq + i, part);
    const V before = load_master(parameter.rounded + i, parameter.rest + i, part);
    const V p = update(before, load(gradient + i, part), m, v);
    store(m, exp_avg + i, part);
    store(v, exp_avg_sq + i, part);
    store_master(p, parameter.rounded + i, parameter.rest + i, part);
  });
}

void adamw_split_f32(SplitMaster parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
                     const AdamWStep& step) {
  adamw_split_range(parameter, gradient, exp_avg, exp_avg_sq, count, step);
}
void adamw_split_bf16(SplitMaster parameter, const Bf16* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
                      const AdamWStep& step) {
  adamw_split_range(parameter, gradient, exp_avg, exp_avg_sq, count, step);
}

template <typename T>
void adamw_drawn_range(Bf16* parameter, const T* gradient, float* exp_avg, float* exp_avg_sq, int64_t first,
                       int64_t count, const AdamWStep& step, const RoundingDraw& draw) {
  const Update update(step);
  for_each_draw(first, count, draw.key, draw.rest, [&](int64_t i, U drawn, auto part) HWY_ATTR {
    V m = load(exp_avg + i, part), v = load(exp_avg_sq + i, part);
    const V p = update(load(parameter + i, part), load(gradient + i, part), m, v);
    store(m, exp_avg + i, part);
    store(v, exp_avg_sq + i, part);
    store(round_drawn(p, drawn), parameter + i, part);
  });
}

void adamw_drawn_f32(Bf16* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t first,
                     int64_t count, const AdamWStep& step, const RoundingDraw& draw) {
  adamw_drawn_range(parameter, gradient, exp_avg, exp_avg_sq, first, count, step, draw);
}
void adamw_drawn_bf16(Bf16* parameter, const Bf16* gradient, float* exp_avg, float* exp_avg_sq, int64_t first,
                      int64_t count, const AdamWStep& step, const RoundingDraw& draw) {
  adamw_drawn_range(parameter, gradient, exp_avg, exp_avg_sq, first, count, step, draw);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(adamw_range);
HWY_EXPORT(adamw_split_f32);
HWY_EXPORT(adamw_split_bf16);
HWY_EXPORT(adamw_drawn_f32);
HWY_EXPORT(adamw_drawn_bf16);

AdamWStep adamw_step(double learning_rate, double beta1, double beta2, double epsilon, double weight_decay,
                     int64_t step, double gradient_scale) {
  const auto count = static_cast<double>(step);
  const double correction1 = 1 - std::pow(beta1, count), correction2 = 1 - std::pow(beta2, count);
  return {.decay = static_cast<float>(1 - learning_rate * weight_decay),
          .beta1 = static_cast<float>(beta1),
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
void adamw(SplitMaster parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
           const AdamWStep& step) {
  HWY_DYNAMIC_DISPATCH(adamw_split_f32)(parameter, gradient, exp_avg, exp_avg_sq, count, step);
}
void adamw(SplitMaster parameter, const Bf16* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
           const AdamWStep& step) {
  HWY_DYNAMIC_DISPATCH(adamw_split_bf16)(parameter, gradient, exp_avg, exp_avg_sq, count, step);
}
void adamw(Bf16* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t first, int64_t count,
           const AdamWStep& step, const RoundingDraw& draw) {
  HWY_DYNAMIC_DISPATCH(adamw_drawn_f32)(parameter, gradient, exp_avg, exp_avg_sq, first, count, step, draw);
}
void adamw(Bf16* parameter, const Bf16* gradient, float* exp_avg, float* exp_avg_sq, int64_t first, int64_t count,
           const AdamWStep& step, const RoundingDraw& draw) {
  HWY_DYNAMIC_DISPATCH(adamw_drawn_bf16)(parameter, gradient, exp_avg, exp_avg_sq, first, count, step, draw);
}

}  // namespace lathe::kernels
#endif
