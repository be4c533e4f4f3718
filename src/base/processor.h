#pragma once
// What the processor computes with by itself.
#include "base/dtype.h"

namespace lathe {

/// Whether it has products of that type. Where it has none of bf16 or fp16, libraries multiply them element by element,
/// up to two hundred times slower than fp32 (ops/product.h says what is done instead). Float types only.
[[nodiscard]] bool multiplies(DType dtype);

/// Whether it multiplies bf16 in tiles (AMX).
[[nodiscard]] bool multiplies_in_tiles();

}  // namespace lathe
