#include "base/safetensors.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "base/json.h"

namespace lathe {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kAlignment = 64;
constexpr std::string_view kMetadataKey = "__metadata__";

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
  throw Error(ErrorKind::kData, what, {.file = path}, "the file is damaged or cut short; fetch or write it again");
}

/// shape's product times the element size; nullopt when that does not fit.
std::optional<uint64_t> checked_bytes(const std::vector<int64_t>& shape, DType dtype) {
  uint64_t bytes = static_cast<uint64_t>(size_bytes(dtype));
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) return std::nullopt;
  }
  return bytes;
}

struct Placed {
  uint64_t begin, end;
  std::string name;
};

class HeaderReader {
 public:
  HeaderReader(const std::string& path, std::span<const std::byte> data) : path_(path), data_(data) {}

  TensorEntry read_tensor(const std::string& tensor, const Json& value) {
    if (!value.is_object()) fail(tensor, "is described by something that is no object");
    TensorEntry entry;
    entry.dtype = read_dtype(tensor, value);
    entry.shape = read_shape(tensor, value);
    const auto [begin, end] = read_offsets(tensor, value);
    const std::optional<uint64_t> bytes = checked_bytes(entry.shape, entry.dtype);
    if (!bytes || *bytes != end - begin) {
      fail(tensor, fmt::format("takes {} bytes in the file, but its shape and dtype do not", end - begin));
    }
    placed_.push_back({begin, end, tensor});
    entry.bytes = data_.subspan(begin, end - begin);
    return entry;
  }

  /// The format wants the data covered exactly: no gap, no overlap, nothing behind the last tensor.
  void check_cover() {
    std::sort(placed_.begin(), placed_.end(),
              [](const Placed& a, const Placed& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
    uint64_t at = 0;
    for (const Placed& tensor : placed_) {
      if (tensor.begin != at)
        fail(tensor.name, tensor.begin < at ? "overlaps another tensor" : "leaves a gap before it");
      at = tensor.end;
    }
    if (at != data_.size())
      damaged(path_, fmt::format("{} bytes behind the last tensor belong to none", data_.size() - at));
  }

 private:
  [[noreturn]] void fail(const std::string& tensor, const std::string& what) {
    damaged(path_, fmt::format("tensor '{}' {}", tensor, what));
  }

  DType read_dtype(const std::string& tensor, const Json& value) {
    const auto field = value.find("dtype");
    if (field == value.end() || !field->is_string()) fail(tensor, "has no dtype");
    const std::optional<DType> dtype = parse_dtype(field->get<std::string>());
    if (!dtype) fail(tensor, fmt::format("has the dtype '{}', which Lathe does not know", field->get<std::string>()));
    return *dtype;
  }

  std::vector<int64_t> read_shape(const std::string& tensor, const Json& value) {
    const auto field = value.find("shape");
    if (field == value.end() || !field->is_array()) fail(tensor, "has no shape");
    std::vector<int64_t> shape;
    for (const Json& extent : *field) {
      if (!extent.is_number_unsigned() || extent.get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
        fail(tensor, "has a shape that is not made of whole numbers");
      }
      shape.push_back(static_cast<int64_t>(extent.get<uint64_t>()));
    }
    return shape;
  }

  std::pair<uint64_t, uint64_t> read_offsets(const std::string& tensor, const Json& value) {
    const auto field = value.find("data_offsets");
    if (field == value.end() || !field->is_array() || field->size() != 2 || !(*field)[0].is_number_unsigned() ||
        !(*field)[1].is_number_unsigned()) {
      fail(tensor, "has no data_offsets");
    }
    const auto begin = (*field)[0].get<uint64_t>();
    const auto end = (*field)[1].get<uint64_t>();
    if (begin > end || end > data_.size()) {
      fail(tensor, fmt::format("lies at bytes {} to {} of {}", begin, end, data_.size()));
    }
    return {begin, end};
  }

  const std::string& path_;
  std::span<const std::byte> data_;
  std::vector<Placed> placed_;
};

std::map<std::string, std::string> read_metadata(const std::string& path, const Json& value) {
  std::map<std::string, std::string> metadata;
  if (!value.is_object()) damaged(path, "its metadata is no object");
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) damaged(path, fmt::format("metadata '{}' is no text", key));
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

std::string_view header_text(const std::string& path, std::span<const std::byte> bytes) {
  uint64_t length = 0;
  if (bytes.size() < sizeof length) damaged(path, fmt::format("a safetensors file of {} bytes", bytes.size()));
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kMaxHeaderBytes || length > bytes.size() - sizeof length) {
    damaged(path, fmt::format("its header claims {} bytes in a file of {}", length, bytes.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof length, length);
  if (!text.starts_with('{')) damaged(path, "its header does not begin with '{'");
  return text;
}

}  // namespace

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  SafetensorsFile result;
  result.file_ = MappedFile::open(path);
  const std::span<const std::byte> bytes = result.file_->bytes();
  const std::string_view text = header_text(path, bytes);
  Json header;
  try {
    header = parse_json(text, path);
  } catch (const Error& error) {
    damaged(path, "its header is no JSON: " + error.message());
  }
  HeaderReader reader(path, bytes.subspan(sizeof(uint64_t) + text.size()));
  for (const auto& [key, value] : header.items()) {
    if (key == kMetadataKey) {
      result.metadata_ = read_metadata(path, value);
    } else {
      result.tensors_[key] = reader.read_tensor(key, value);
    }
  }
  reader.check_cover();
  return result;
}

std::string safetensors_head(const std::vector<TensorToSave>& tensors, std::map<std::string, std::string> metadata) {
  metadata.try_emplace("format", "pt");
  Json header = Json::object();
  header[std::string(kMetadataKey)] = metadata;
  uint64_t offset = 0;
  for (const TensorToSave& tensor : tensors) {
    const std::optional<uint64_t> bytes = checked_bytes(tensor.shape, tensor.dtype);
    LATHE_ASSERT(bytes && (tensor.produce || *bytes == tensor.bytes.size()) && !header.contains(tensor.name));
    header[tensor.name] = {{"dtype", std::string(name(tensor.dtype))},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
  }
  std::string text = dump_json(header);
  text.resize((text.size() + sizeof(uint64_t) + kAlignment - 1) / kAlignment * kAlignment - sizeof(uint64_t), ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

void write_tensor(const TensorToSave& tensor, const ByteWriter& write) {
  if (!tensor.produce) return write(tensor.bytes);
  uint64_t written = 0;
  tensor.produce([&](std::span<const std::byte> piece) {
    write(piece);
    written += piece.size();
  });
  LATHE_ASSERT(written == checked_bytes(tensor.shape, tensor.dtype));
}

void save_safetensors(const std::string& path, const std::vector<TensorToSave>& tensors,
                      std::map<std::string, std::string> metadata) {
  AtomicFile file(path);
  file.write(safetensors_head(tensors, std::move(metadata)));
  for (const TensorToSave& tensor : tensors) {
    write_tensor(tensor, [&](std::span<const std::byte> piece) { file.write(piece); });
  }
  file.commit();
}

}  // namespace lathe
