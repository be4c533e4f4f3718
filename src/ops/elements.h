#pragma once
// From a tensor's type to the kernels' two element types.
#include <ATen/core/Tensor.h>
#include <lathe/error.h>

#include "kernels/bf16.h"

namespace lathe::ops {

/// Elements that are worth a thread's waking.
inline constexpr int64_t kElementsATask = int64_t{1} << 14;

/// Calls body(float()) or body(kernels::Bf16()) by x's type, fp32 or bf16. For kernels of the CPU: a GPU's tensors went
/// another way before.
template <typename Body>
decltype(auto) with_elements(const at::Tensor& x, const Body& body) {
  LATHE_ASSERT(x.is_cpu());
  if (x.scalar_type() == at::kFloat) return body(float());
  LATHE_ASSERT(x.scalar_type() == at::kBFloat16);
  return body(kernels::Bf16());
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
