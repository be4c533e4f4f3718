#include "model/tensor_file.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

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

std::vector<TensorToSave> entries_of(const NamedTensors& tensors) {
  std::vector<TensorToSave> entries;
  for (const auto& [name, tensor] : tensors) {
    LATHE_ASSERT(tensor.is_contiguous());
    entries.push_back({.name = name,
                       .dtype = ops::to_dtype(tensor.scalar_type()),
                       .shape = tensor.sizes().vec(),
                       .bytes = {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  return entries;
}

std::vector<TensorToSave> entries_of(const FileToSave& file) {
  std::vector<TensorToSave> entries = entries_of(file.tensors);
  entries.insert(entries.end(), file.produced.begin(), file.produced.end());
  return entries;
}

void save_tensors(const std::string& path, const NamedTensors& tensors) {
  NamedTensors contiguous;  // owns the bytes until they are written
  for (const auto& [name, tensor] : tensors) contiguous.emplace_back(name, tensor.contiguous());
  save_safetensors(path, entries_of(contiguous));
}

void copy_from_gpu(FilesToSave& files) {
  for (FileToSave& file : files) {
    for (auto& [name, tensor] : file.tensors) tensor = tensor.cpu();
  }
}

void save_files(const std::string& directory, const FilesToSave& files) {
  for (const FileToSave& file : files) {
    const std::string path = directory + "/" + file.name;
    if (!file.copied_from.empty()) {
      atomic_write(path, MappedFile::open(file.copied_from)->text());
    } else if (const std::vector<TensorToSave> entries = entries_of(file); entries.empty() && file.metadata.empty()) {
      atomic_write(path, file.text);
    } else {
      save_safetensors(path, entries, file.metadata);
    }
  }
}

}  // namespace lathe
