#pragma once
// Tensors of a safetensors file as at::Tensor, and back.
#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "base/safetensors.h"

namespace lathe {

/// A view of the mapped bytes: read-only, and it keeps the mapping alive. Bytes that are unaligned for their type are
/// copied. Views are counted in the ledger's weights while they live.
[[nodiscard]] at::Tensor map_tensor(const SafetensorsFile& file, const TensorEntry& entry);
/// The same in `dtype`: the view itself when it has that type, a converted copy otherwise.
[[nodiscard]] at::Tensor map_tensor(const SafetensorsFile& file, const TensorEntry& entry, at::ScalarType dtype);

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Writes the tensors in the order given. @throws Error(kIo)
void save_tensors(const std::string& path, const NamedTensors& tensors);

}  // namespace lathe
