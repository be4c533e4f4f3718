#pragma once
// Products of two matrices in the type of their factors, sums in fp32, on any processor.
#include <ATen/core/Tensor.h>

namespace lathe::ops {

/// a b.  @param a [M,K]  @param b [K,N] of the same type; any strides
[[nodiscard]] at::Tensor product(const at::Tensor& a, const at::Tensor& b);
/// y = a b, or y += a b, rounded once.  @param y [M,N] of their type; any strides
void product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, bool add);

/// Two matrices of one type, [M,R] and [R,N], whose product is added to another one; both undefined: none.
struct Factors {
  at::Tensor a, b;
  [[nodiscard]] bool defined() const { return a.defined(); }
};

/// Whether the processor has tiles (AMX) and these factors fit them (kernels/product.h).
[[nodiscard]] bool fits_tiles(const at::Tensor& a, const at::Tensor& b);
/// Whether products of bf16 or fp16 go by fp32 here, factors widened as they are laid out: on processors that have no
/// products of the type (base/processor.h).
[[nodiscard]] bool widens(const at::Tensor& factor);
/// Whether a product of these goes by kernels of our own, one of the two ways above. Everything else goes to oneDNN and
/// MKL; oneDNN compiles its kernels for bf16 anew for every number of rows.
[[nodiscard]] bool is_own(const at::Tensor& a, const at::Tensor& b);

/// What may be added to a product that is_own.
struct Addends {
  bool y = false;   ///< what the place holds already
  at::Tensor bias;  ///< [N], contiguous, for every row, not with y; may be undefined
  Factors factors;  ///< which are own as well: their product, after all else is rounded
};
/// product_into by kernels of our own, only where it is_own.  @param y for tiles, columns of a row next to one another
void own_product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, const Addends& addends);
/// The same by fp32, whatever the processor.  @param a bf16 or fp16, as all of them; any strides
void widened_product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, const Addends& addends);

}  // namespace lathe::ops
