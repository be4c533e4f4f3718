#pragma once
// What a checkpoint keeps of a run beside the model's own files, whatever it is stored as in memory: written in pieces,
// so that saving takes no second copy.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/safetensors.h"

namespace lathe {

struct StateTensor {
  std::string suffix;  ///< behind the parameter's name in optimizer.safetensors: ".master", ".exp_avg", …
  at::ScalarType dtype;
  std::vector<int64_t> sizes;
  at::Tensor tensor;  ///< itself, where it lies in memory as it is saved; else undefined
  /// Elements [begin, begin + count) of it flattened; a view or a copy, of `dtype` and contiguous.
  std::function<at::Tensor(int64_t begin, int64_t count)> read;
  /// Sets all of it. @param values of `dtype` and `sizes`
  std::function<void(const at::Tensor& values)> write;
};

/// One that lies in memory as it is saved.
[[nodiscard]] StateTensor plain_state(std::string suffix, const at::Tensor& tensor);

/// What a file is told to hold. What lies on a GPU is copied from it now, everything else is read when its turn has
/// come.
/// @param name in front of the suffix
[[nodiscard]] TensorToSave to_save(const std::string& name, StateTensor state);

}  // namespace lathe
