#include "model/tensor_file.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>

#include "base/memory_ledger.h"
#include "ops/dtype.h"

namespace lathe {

at::Tensor map_tensor(const SafetensorsFile& file, const TensorEntry& entry) {
  const at::ScalarType type = ops::to_scalar_type(entry.dtype);
  const auto bytes = static_cast<int64_t>(entry.bytes.size());
  const auto address = reinterpret_cast<uintptr_t>(entry.bytes.data());
  if (address % static_cast<uintptr_t>(size_bytes(entry.dtype)) != 0) {
    const MemoryScope scope(MemoryClass::kWeights);
    at::Tensor copy = at::empty(entry.shape, at::dtype(type));
    std::memcpy(copy.mutable_data_ptr(), entry.bytes.data(), entry.bytes.size());
    return copy;
  }
  cpu_ledger().add(MemoryClass::kWeights, bytes);
  const auto release = [mapping = file.mapping(), bytes](void*) { cpu_ledger().add(MemoryClass::kWeights, -bytes); };
  return at::from_blob(const_cast<std::byte*>(entry.bytes.data()), entry.shape, release, at::dtype(type));
}

at::Tensor map_tensor(const SafetensorsFile& file, const TensorEntry& entry, at::ScalarType dtype) {
  const at::Tensor view = map_tensor(file, entry);
  const MemoryScope scope(MemoryClass::kWeights);
  return view.to(dtype);
}

void save_tensors(const std::string& path, const NamedTensors& tensors) {
  std::vector<at::Tensor> contiguous;  // owns the bytes until they are written
  std::vector<TensorToSave> entries;
  for (const auto& [name, tensor] : tensors) {
    contiguous.push_back(tensor.cpu().contiguous());
    const at::Tensor& flat = contiguous.back();
    entries.push_back({.name = name,
                       .dtype = ops::to_dtype(flat.scalar_type()),
                       .shape = flat.sizes().vec(),
                       .bytes = {static_cast<const std::byte*>(flat.const_data_ptr()), flat.nbytes()}});
  }
  save_safetensors(path, entries);
}

}  // namespace lathe
