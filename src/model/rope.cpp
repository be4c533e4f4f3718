#include "model/rope.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lathe {
namespace {

double temperature(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double attention_factor(const YarnScaling& yarn) {
  if (yarn.attention_factor) return *yarn.attention_factor;
  const double mscale = yarn.mscale.value_or(0), mscale_all_dim = yarn.mscale_all_dim.value_or(0);
  if (mscale != 0 && mscale_all_dim != 0) {
    return temperature(yarn.factor, mscale) / temperature(yarn.factor, mscale_all_dim);
  }
  return temperature(yarn.factor, 1);
}

// The (real-valued) dimension whose wave makes `rotations` turns over the original context.
double dimension_of(double rotations, const ModelShape& shape) {
  const auto context = static_cast<double>(shape.yarn->original_max_position_embeddings);
  return static_cast<double>(shape.head_dim) * std::log(context / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(shape.rope_theta));
}

// Share [D/2] of the original (extrapolated) frequency that each dimension keeps.
at::Tensor extrapolated_share(const ModelShape& shape) {
  double low = dimension_of(shape.yarn->beta_fast, shape), high = dimension_of(shape.yarn->beta_slow, shape);
  if (shape.yarn->truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(shape.head_dim - 1));
  if (low == high) high += 0.001;
  const at::Tensor dims = at::arange(shape.head_dim / 2, at::dtype(at::kFloat));
  return 1 - at::clamp((dims - low) / (high - low), 0, 1);
}

}  // namespace

RopeFrequencies rope_frequencies(const ModelShape& shape) {
  const at::Tensor exponents =
      at::arange(0, shape.head_dim, 2, at::dtype(at::kFloat)) / static_cast<double>(shape.head_dim);
  const at::Tensor wavelengths = at::pow(at::Scalar(shape.rope_theta), exponents);
  if (!shape.yarn) return {at::reciprocal(wavelengths), 1};
  const at::Tensor share = extrapolated_share(shape);
  const at::Tensor interpolated = at::reciprocal(wavelengths * shape.yarn->factor);
  return {interpolated * (1 - share) + at::reciprocal(wavelengths) * share, attention_factor(*shape.yarn)};
}

}  // namespace lathe
