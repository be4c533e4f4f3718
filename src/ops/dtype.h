#pragma once
// Element types on disk (base/dtype.h) and in tensors.
#include <c10/core/ScalarType.h>

#include "base/dtype.h"

namespace lathe::ops {

[[nodiscard]] c10::ScalarType to_scalar_type(DType dtype);
/// @throws Error(kInternal) for types that the files have no name for.
[[nodiscard]] DType to_dtype(c10::ScalarType type);

}  // namespace lathe::ops
