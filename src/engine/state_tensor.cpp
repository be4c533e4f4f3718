#include "engine/state_tensor.h"

#include <ATen/ATen.h>

namespace lathe {

StateTensor plain_state(std::string suffix, const at::Tensor& tensor) {
  return {.suffix = std::move(suffix),
          .dtype = tensor.scalar_type(),
          .sizes = tensor.sizes().vec(),
          .tensor = tensor,
          .read = [tensor](int64_t begin, int64_t count) { return tensor.view({-1}).narrow(0, begin, count); },
          .write = [tensor](const at::Tensor& values) { at::Tensor(tensor).copy_(values); }};
}

}  // namespace lathe
