#pragma once
// The safetensors format: an 8-byte little-endian length, a JSON header, then the tensors' bytes.
// Everything read from a file is range-checked before it is used (docs/architecture.md, "Files").
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"

namespace lathe {

struct TensorEntry {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  ///< inside the mapping; may be unaligned for its dtype
};

/// One mapped file. Copies share the mapping. Safe for concurrent reading.
class SafetensorsFile {
 public:
  /// @throws Error(kData): missing, truncated, overlapping or out-of-range offsets, bytes that belong to no tensor, an
  /// unknown dtype, a size that is not the product of shape and dtype. Names file and tensor.
  [[nodiscard]] static SafetensorsFile open(const std::string& path);
  [[nodiscard]] const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  [[nodiscard]] const std::shared_ptr<const MappedFile>& mapping() const { return file_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

using ByteWriter = std::function<void(std::span<const std::byte>)>;

/// What to write: name, type, shape, and the bytes (owned by the caller until they are written).
struct TensorToSave {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
  /// In place of bytes: hands all of them over in order, some at a time, when their turn has come.
  std::function<void(const ByteWriter& write)> produce;
};

/// Length and header, what stands before the tensors' bytes. Tensors follow in the order given, aligned to 64 bytes by
/// padding the header. metadata gets {"format": "pt"} unless given.
[[nodiscard]] std::string safetensors_head(const std::vector<TensorToSave>& tensors,
                                           std::map<std::string, std::string> metadata = {});
/// A tensor's bytes, all of them, in the order of the file.
void write_tensor(const TensorToSave& tensor, const ByteWriter& write);
/// Head and bytes through AtomicFile: whole or absent. @throws Error(kIo)
void save_safetensors(const std::string& path, const std::vector<TensorToSave>& tensors,
                      std::map<std::string, std::string> metadata = {});

}  // namespace lathe
