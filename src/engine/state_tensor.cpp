#include "engine/state_tensor.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/dtype.h"
#include "ops/elements.h"

namespace lathe {

StateTensor plain_state(std::string suffix, const at::Tensor& tensor) {
  return {.suffix = std::move(suffix),
          .dtype = tensor.scalar_type(),
          .sizes = tensor.sizes().vec(),
          .tensor = tensor,
          .read = [tensor](int64_t begin, int64_t count) { return tensor.view({-1}).narrow(0, begin, count); },
          .write = [tensor](const at::Tensor& values) { at::Tensor(tensor).copy_(values); }};
}

TensorToSave to_save(const std::string& name, StateTensor state) {
  if (state.tensor.defined() && !state.tensor.is_cpu()) state = plain_state(state.suffix, state.tensor.cpu());
  TensorToSave tensor{.name = name + state.suffix, .dtype = ops::to_dtype(state.dtype), .shape = state.sizes};
  tensor.produce = [state = std::move(state)](const ByteWriter& write) {
    // What is worked out is one task's work at a time: the thread that writes then has none of its own.
    const int64_t count = c10::multiply_integers(state.sizes);
    const int64_t step = state.tensor.defined() ? count : ops::kElementsATask;
    for (int64_t begin = 0; begin < count; begin += step) {
      const at::Tensor piece = state.read(begin, std::min(step, count - begin));
      write({static_cast<const std::byte*>(piece.const_data_ptr()), piece.nbytes()});
    }
  };
  return tensor;
}

}  // namespace lathe
