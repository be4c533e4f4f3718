#include "model/kv_cache.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

namespace lathe {

KeyValueCache::KeyValueCache(const ModelShape& shape, int64_t capacity, at::ScalarType dtype, at::Device device)
    : capacity_(capacity) {
  for (int64_t layer = 0; layer < shape.num_layers; ++layer) {
    keys_.push_back(at::empty({capacity, shape.num_kv_heads, shape.head_dim}, at::dtype(dtype).device(device)));
    values_.push_back(at::empty({capacity, shape.num_kv_heads, shape.head_dim}, at::dtype(dtype).device(device)));
  }
}

std::pair<at::Tensor, at::Tensor> KeyValueCache::append(int64_t layer, const at::Tensor& k, const at::Tensor& v) {
  const auto index = static_cast<size_t>(layer);
  const int64_t n = k.size(0);
  LATHE_ASSERT(index < keys_.size() && length_ + n <= capacity_);
  keys_[index].narrow(0, length_, n).copy_(k);
  values_[index].narrow(0, length_, n).copy_(v);
  return {keys_[index].narrow(0, 0, length_ + n), values_[index].narrow(0, 0, length_ + n)};
}

void KeyValueCache::truncate(int64_t length) {
  LATHE_ASSERT(length >= 0 && length <= length_);
  length_ = length;
}

}  // namespace lathe
