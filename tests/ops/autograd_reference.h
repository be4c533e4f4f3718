#pragma once
// Gradients as torch's own autograd works them out, for functions written with plain ATen operations.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

namespace lathe::testing {

using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

/// d(sum of dy · function(inputs)) by each input.
inline std::vector<at::Tensor> autograd_gradients(const Function& function, const std::vector<at::Tensor>& inputs,
                                                  const at::Tensor& dy) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_(true));
  const at::Tensor y = function(leaves);
  return torch::autograd::grad({y}, leaves, {dy});
}

inline double relative(const at::Tensor& ours, const at::Tensor& theirs) {
  return ((ours.to(at::kDouble) - theirs.to(at::kDouble)).norm() / theirs.to(at::kDouble).norm().clamp_min(1e-30))
      .item<double>();
}

/// Normal numbers from a generator of their own.
inline at::Tensor draw(at::IntArrayRef sizes, uint64_t seed, at::ScalarType dtype = at::kFloat) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn(sizes, generator, at::dtype(at::kFloat)).to(dtype);
}

}  // namespace lathe::testing
