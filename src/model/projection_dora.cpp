// A projection with DoRA: model/dora.h has the formula.
#include <ATen/ATen.h>

#include "model/dora.h"
#include "model/projection.h"
#include "ops/check.h"
#include "ops/columns.h"
#include "ops/linear.h"

namespace lathe {

const at::Tensor& Projection::norms() const {
  if (norms_.defined()) return norms_;
  const bool quantized = weight_.quantized != nullptr;
  norms_ = direction_norms(quantized ? weight_.quantized->open(a_.scalar_type()) : weight_.dense, a_, b_,
                           pass_.options.lora.scale);
  return norms_;
}

at::Tensor Projection::magnitude_over_norm() const {
  return pass_.options.lora.magnitudes_fixed ? magnitude_ : magnitude_ / norms();
}

void Projection::share_norms(at::Tensor& kept) const {
  if (kept.defined()) {
    norms_ = kept;
  } else {
    kept = norms_;
  }
}

at::Tensor Projection::dora_forward(const at::Tensor& x, AdapterSaved* saved) const {
  LATHE_EXPECT(magnitude_, ({weight_.out_features()}), at::kFloat);
  at::Tensor dropped = drop(x);
  at::Tensor low = scaled(ops::linear(dropped, a_, {})), direction = ops::linear(dropped, weight_, {}, {low, b_.t()});
  // W x + (g - 1) W x' = W (x - x') + g W x'
  at::Tensor y = ops::scale_columns(direction, magnitude_over_norm(), drops() ? at::Tensor() : bias_);
  if (saved != nullptr) saved->a_x = std::move(low), saved->direction = std::move(direction);
  if (drops()) y.add_(ops::linear(dropped.neg_().add_(x), weight_, bias_));
  return y;
}

void Projection::dora_input_gradient(const at::Tensor& dy, const at::Tensor& da_x, at::Tensor& dx) const {
  const at::Tensor scale = magnitude_over_norm();
  if (!drops()) {
    return ops::linear_input_gradient(ops::scale_columns(dy, scale, {}), weight_, dx, {da_x, a_});
  }
  at::Tensor dropped;
  ops::linear_input_gradient(ops::scale_columns(dy, scale - 1, {}), weight_, dropped, {da_x, a_});
  ops::linear_input_gradient(dy, weight_, dx);
  dx.add_(drop(dropped));
}

at::Tensor Projection::magnitude_gradient(const at::Tensor& dy, const at::Tensor& direction) const {
  return ops::column_dots(dy, direction).div_(norms());
}

}  // namespace lathe
