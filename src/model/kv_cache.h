#pragma once
// Keys and values of the tokens that a model has already seen, for generation one token after another.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "config/model_shape.h"

namespace lathe {

/// One sequence. Per layer k and v [capacity, kv heads, head dim], of which the first length() rows are filled.
class KeyValueCache {
 public:
  /// @param capacity tokens, prompt and answer together  @param dtype, device the model's
  KeyValueCache(const ModelShape& shape, int64_t capacity, at::ScalarType dtype, at::Device device = at::kCPU);
  [[nodiscard]] int64_t length() const { return length_; }
  [[nodiscard]] int64_t capacity() const { return capacity_; }
  /// Writes the new tokens' k and v [n, kv heads, head dim] behind those there are; returns views of all, old and new.
  /// @throws Error(kInternal) when they do not fit.
  std::pair<at::Tensor, at::Tensor> append(int64_t layer, const at::Tensor& k, const at::Tensor& v);
  void advance(int64_t num_tokens) { length_ += num_tokens; }  ///< once all layers have appended
  void truncate(int64_t length);                               ///< forgets what lies behind

 private:
  int64_t capacity_, length_ = 0;
  std::vector<at::Tensor> keys_, values_;
};

}  // namespace lathe
