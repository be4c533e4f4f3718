#pragma once
// Tensors of a safetensors file as at::Tensor, and back.
#include <ATen/core/Tensor.h>

#include <map>
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

/// What a file is told to hold: views of the tensors' bytes. @param tensors contiguous
[[nodiscard]] std::vector<TensorToSave> entries_of(const NamedTensors& tensors);
/// Writes the tensors in the order given. @throws Error(kIo)
void save_tensors(const std::string& path, const NamedTensors& tensors);

/// One file of a model's folder, before it is written: a text, or tensors (contiguous; the run's own, not copies of
/// them, so they are to be written before the next update), or another file's bytes.
struct FileToSave {
  std::string name, text;
  NamedTensors tensors;
  std::vector<TensorToSave> produced;           ///< behind them: what is worked out only while it is written
  std::map<std::string, std::string> metadata;  ///< of a tensors' file, which it is with this and no tensor too
  std::string copied_from;                      ///< path of the file whose bytes these are
};
/// Everything that a file of tensors holds, in its order; empty for other files.
[[nodiscard]] std::vector<TensorToSave> entries_of(const FileToSave& file);
using FilesToSave = std::vector<FileToSave>;
/// Tensors that lie on a GPU are copied from it; those of the CPU stay the run's own.
void copy_from_gpu(FilesToSave& files);
/// Writes each of them, whole or not at all. @throws Error(kIo)
void save_files(const std::string& directory, const FilesToSave& files);

}  // namespace lathe
