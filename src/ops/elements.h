#pragma once
// From a tensor's type to the kernels' element types.
#include <ATen/core/Tensor.h>
#include <lathe/error.h>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::ops {

/// Elements that are worth a thread's waking.
inline constexpr int64_t kElementsATask = int64_t{1} << 14;

/// Calls body(float()) or body(kernels::Bf16()) by the type of a gradient: those of fp16 weights are fp32. For kernels
/// of the CPU: a GPU's tensors went another way before.
template <typename Body>
decltype(auto) with_gradients(const at::Tensor& gradient, const Body& body) {
  LATHE_ASSERT(gradient.is_cpu());
  if (gradient.scalar_type() == at::kFloat) return body(float());
  LATHE_ASSERT(gradient.scalar_type() == at::kBFloat16);
  return body(kernels::Bf16());
}

/// The same by the type that a model computes in: body(kernels::F16()) too.
template <typename Body>
decltype(auto) with_elements(const at::Tensor& x, const Body& body) {
  LATHE_ASSERT(x.is_cpu());
  if (x.scalar_type() == at::kHalf) return body(kernels::F16());
  return with_gradients(x, body);
}

template <typename T>
const T* elements(const at::Tensor& x) {
  return static_cast<const T*>(x.const_data_ptr());
}

template <typename T>
T* mutable_elements(const at::Tensor& x) {
  return static_cast<T*>(x.mutable_data_ptr());
}

}  // namespace lathe::ops
