#include "model/projection.h"

#include <ATen/ATen.h>

#include "ops/check.h"
#include "ops/columns.h"
#include "ops/linear.h"
#include "ops/product.h"

namespace lathe {

Projection::Projection(const BlockView& view, BlockId block, Site site, const PassContext& pass)
    : pass_(pass),
      block_(block),
      site_(site),
      weight_(view.weight(site)),
      bias_(view.get(site, Part::kBias)),
      magnitude_(view.get(site, Part::kLoraMagnitude)) {
  const at::Tensor& a = view.get(site, Part::kLoraA);
  if (!a.defined()) return;
  const at::Tensor& b = view.get(site, Part::kLoraB);
  const int64_t r = pass.options.lora.r;
  LATHE_EXPECT(a, ({r, weight_.in_features()}), pass.options.compute_dtype);
  LATHE_EXPECT(b, ({weight_.out_features(), r}), pass.options.compute_dtype);
  a_ = a;
  b_ = b;
}

bool Projection::wants(Part part) const {
  return pass_.gradients != nullptr && pass_.gradients->wants({block_, site_, part});
}

void Projection::give_product(Part part, const at::Tensor& dy, const at::Tensor& x) const {
  const ParameterId id{block_, site_, part};
  const GradientPlace place = pass_.gradients->borrow(id);
  ops::linear_weight_gradient(dy, x, place.tensor, !place.fresh);
  pass_.gradients->written(id, pass_.last_micro_batch);
}

bool Projection::trains() const {
  return wants(Part::kWeight) || wants(Part::kBias) || wants(Part::kLoraA) || wants(Part::kLoraB) ||
         wants(Part::kLoraMagnitude);
}

bool Projection::needs_input() const {
  return wants(Part::kWeight) || wants(Part::kLoraA);
}

bool Projection::drops() const {
  return pass_.dropout.enabled && pass_.options.lora.dropout != 0;
}

at::Tensor Projection::drop(const at::Tensor& x) const {
  if (!drops()) return x;
  return ops::dropout(x, {.seed = pass_.dropout.seed,
                          .step = static_cast<uint32_t>(pass_.dropout.step),
                          .micro_batch = static_cast<uint32_t>(pass_.dropout.micro_batch),
                          .layer = static_cast<uint16_t>(block_.layer),
                          .site = static_cast<uint8_t>(site_),
                          .probability = pass_.options.lora.dropout});
}

at::Tensor Projection::scaled(at::Tensor low) const {
  const double scale = pass_.options.lora.scale;
  return scale == 1 ? std::move(low) : std::move(low.mul_(scale));
}

at::Tensor Projection::forward(const at::Tensor& x, AdapterSaved* saved) const {
  if (magnitude_.defined()) return dora_forward(x, saved);
  if (!a_.defined()) return ops::linear(x, weight_, bias_);
  const at::Tensor low = scaled(ops::linear(drop(x), a_, {}));
  if (saved != nullptr) saved->a_x = low;
  return ops::linear(x, weight_, bias_, {low, b_.t()});
}

void Projection::backward(const at::Tensor& dy, const at::Tensor& x, const AdapterSaved& saved, at::Tensor* dx) const {
  const at::Tensor da_x = dx != nullptr || wants(Part::kLoraA) ? low_rank_gradient(dy) : at::Tensor();
  if (dx != nullptr) input_gradient(dy, da_x, *dx);
  parameter_gradients(dy, x, saved, da_x);
}

at::Tensor Projection::low_rank_gradient(const at::Tensor& dy) const {
  if (!a_.defined()) return {};
  const at::Tensor b = magnitude_.defined() ? b_.mul(magnitude_over_norm().unsqueeze(1)).to(dy.scalar_type()) : b_;
  at::Tensor da_x;
  ops::linear_input_gradient(dy, b, da_x);
  return scaled(std::move(da_x));
}

void Projection::input_gradient(const at::Tensor& dy, const at::Tensor& da_x, at::Tensor& dx) const {
  if (magnitude_.defined()) return dora_input_gradient(dy, da_x, dx);
  const bool apart = a_.defined() && drops();
  ops::linear_input_gradient(dy, weight_, dx, apart ? ops::Factors() : ops::Factors{da_x, a_});
  if (apart) dx.add_(drop(ops::product(da_x, a_)));
}

void Projection::parameter_gradients(const at::Tensor& dy, const at::Tensor& x, const AdapterSaved& saved,
                                     const at::Tensor& da_x) const {
  if (wants(Part::kBias)) {
    pass_.gradients->ready({block_, site_, Part::kBias}, ops::linear_bias_gradient(dy), pass_.last_micro_batch);
  }
  if (wants(Part::kWeight)) give_product(Part::kWeight, dy, x);
  if (wants(Part::kLoraB)) {
    give_product(Part::kLoraB, magnitude_.defined() ? ops::scale_columns(dy, magnitude_over_norm(), {}) : dy,
                 saved.a_x);
  }
  if (wants(Part::kLoraA)) give_product(Part::kLoraA, da_x, drop(x));
  if (wants(Part::kLoraMagnitude)) {
    pass_.gradients->ready({block_, site_, Part::kLoraMagnitude}, magnitude_gradient(dy, saved.direction),
                           pass_.last_micro_batch);
  }
}

}  // namespace lathe
