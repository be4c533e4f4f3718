// The arithmetic of one AdamW update on vectors, once for each instruction set (hence no #pragma once).
#if defined(LATHE_KERNELS_CPU_ADAMW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATHE_KERNELS_CPU_ADAMW_INL_H_
#undef LATHE_KERNELS_CPU_ADAMW_INL_H_
#else
#define LATHE_KERNELS_CPU_ADAMW_INL_H_
#endif

#include "kernels/adamw.h"
#include "kernels/cpu/split_master-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

/// What an update does to the weights of one vector, given their gradient.
class Update {
 public:
  explicit Update(const AdamWStep& step)
      : decay_(hn::Set(D(), step.decay)),
        scale_(hn::Set(D(), step.gradient_scale)),
        beta1_(hn::Set(D(), step.beta1)),
        weight1_(hn::Set(D(), step.one_minus_beta1)),
        beta2_(hn::Set(D(), step.beta2)),
        weight2_(hn::Set(D(), step.one_minus_beta2)),
        root2_(hn::Set(D(), step.root_correction2)),
        epsilon_(hn::Set(D(), step.epsilon)),
        step_size_(hn::Set(D(), step.step_size)) {}

  HWY_INLINE V operator()(V before, V gradient, V& m, V& v) const {
    const V g = hn::Mul(gradient, scale_);
    m = hn::MulAdd(weight1_, hn::Sub(g, m), m);
    v = hn::Add(hn::Mul(v, beta2_), hn::Mul(hn::Mul(weight2_, g), g));
    return moved(before, m, v);
  }
  /// Moments rounded as bitsandbytes rounds them: what is left of each first, then the gradient's share in one
  /// rounding.
  HWY_INLINE V as_bitsandbytes(V before, V gradient, V& m, V& v) const {
    const V g = hn::Mul(gradient, scale_);
    m = hn::MulAdd(g, weight1_, hn::Mul(m, beta1_));
    v = hn::MulAdd(hn::Mul(weight2_, g), g, hn::Mul(v, beta2_));
    return moved(before, m, v);
  }

 private:
  HWY_INLINE V moved(V before, V m, V v) const {
    const V denominator = hn::Add(hn::Div(hn::Sqrt(v), root2_), epsilon_);
    return hn::Sub(hn::Mul(before, decay_), hn::Div(hn::Mul(step_size_, m), denominator));
  }

  V decay_, scale_, beta1_, weight1_, beta2_, weight2_, root2_, epsilon_, step_size_;
};

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
