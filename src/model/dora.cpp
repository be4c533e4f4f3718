#include "model/dora.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/check.h"
#include "ops/product.h"

namespace lathe {
namespace {

constexpr int64_t kElementsAtOnce = int64_t{1} << 18;  // of W + s B A, while they are in the cache

ParameterId part_of(const ParameterId& id, Part part) {
  return {id.block, id.site, part};
}

}  // namespace

at::Tensor direction_norms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scale) {
  LATHE_EXPECT(weight, ({ops::kAny, ops::kAny}));
  LATHE_EXPECT(a, ({ops::kAny, weight.size(1)}), weight.scalar_type());
  LATHE_EXPECT(b, ({weight.size(0), a.size(0)}), weight.scalar_type());
  const int64_t out = weight.size(0), step = std::max<int64_t>(1, kElementsAtOnce / weight.size(1));
  at::Tensor norms = at::empty({out}, weight.options().dtype(at::kFloat));
  for (int64_t begin = 0; begin < out; begin += step) {
    const int64_t rows = std::min(step, out - begin);
    const at::Tensor direction = ops::product(b.narrow(0, begin, rows), a).to(at::kFloat);
    direction.mul_(scale).add_(weight.narrow(0, begin, rows));
    norms.narrow(0, begin, rows).copy_(at::linalg_vector_norm(direction, 2, at::IntArrayRef{1}));
  }
  return norms;
}

void set_first_magnitudes(TensorMap& adapter, const QuantizedModel& base, at::ScalarType computed) {
  for (auto& [id, tensor] : adapter) {
    if (id.part != Part::kLoraMagnitude) continue;
    const ParameterId of = part_of(id, Part::kWeight);
    const auto quantized = base.quantized.find(of);
    const at::Tensor weight = quantized == base.quantized.end() ? base.dense.at(of) : quantized->second->open(computed);
    tensor.copy_(at::linalg_vector_norm(weight, 2, at::IntArrayRef{1}));
  }
}

void fix_magnitudes(TensorMap& weights, const LoraConfig& config) {
  for (auto& [id, tensor] : weights) {
    if (id.part != Part::kLoraMagnitude) continue;
    const at::Tensor &a = weights.at(part_of(id, Part::kLoraA)), &b = weights.at(part_of(id, Part::kLoraB));
    tensor = tensor / direction_norms(weights.at(part_of(id, Part::kWeight)), a, b, config.scale());
  }
}

}  // namespace lathe
