#pragma once
// Rotary position embedding (Su et al. 2021), halves rotated against one another as transformers' rotate_half does.
//
// T tokens, N heads, D head dim.
#include <ATen/core/Tensor.h>

namespace lathe::ops {

/// One angle a token and pair of elements, rounded to the type that q and k have.
struct RotaryTable {
  at::Tensor cos, sin;  ///< [T, D/2] fp32
};

/// Angles position · inverse_frequencies, worked out in fp32 and times `scaling`, then rounded to dtype.
/// @param positions [T] int32  @param inverse_frequencies [D/2] fp32
[[nodiscard]] RotaryTable rotary_table(const at::Tensor& positions, const at::Tensor& inverse_frequencies,
                                       double scaling, at::ScalarType dtype);

/// x [T,N,D] rotated. Products are rounded to x's type before they are added, as theirs are.
[[nodiscard]] at::Tensor rotary(const at::Tensor& x, const RotaryTable& table);
/// The gradient: the rotation by the opposite angle.
[[nodiscard]] at::Tensor rotary_backward(const at::Tensor& dy, const RotaryTable& table);

}  // namespace lathe::ops
