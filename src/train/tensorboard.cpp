#include "train/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstring>

namespace lathe {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

/// TFRecord stores checksums rotated and shifted, so that the checksum of a checksum is no fixed point.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return std::rotr(crc, 15) + 0xA282EAD8U;
}

template <typename T>
void put_raw(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

// Protobuf, the part that is needed. Field numbers are those of tensorboard/compat/proto/{event,summary,tensor}.proto.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}
void put_tag(std::string& out, uint32_t field, WireType type) {
  put_varint(out, (field << 3) | type);
}
void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_tag(out, field, kLength);
  put_varint(out, bytes.size());
  out.append(bytes);
}
void put_integer(std::string& out, uint32_t field, int64_t value) {
  put_tag(out, field, kVarint);
  put_varint(out, static_cast<uint64_t>(value));
}

/// Event { wall_time = 1, step = 2, and one of file_version = 3, summary = 5 }
std::string event(double wall_time, int64_t step, uint32_t field, std::string_view content) {
  std::string out;
  put_tag(out, 1, kFixed64);
  put_raw(out, wall_time);
  if (step != 0) put_integer(out, 2, step);
  put_bytes(out, field, content);
  return out;
}

std::string summary(std::string_view value) {
  std::string out;
  put_bytes(out, 1, value);
  return out;
}

std::string file_name(double wall_time) {
  char host[256] = "localhost";
  gethostname(host, sizeof(host) - 1);
  return fmt::format("events.out.tfevents.{}.{}.{}.0", static_cast<int64_t>(wall_time), host, getpid());
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0U;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xFFU];
  return ~crc;
}

EventWriter::EventWriter(const std::string& directory, double wall_time)
    : path_(directory + "/" + file_name(wall_time)), file_(std::make_unique<AppendFile>(path_)) {
  write_event(event(wall_time, 0, 3, "brain.Event:2"));
}

EventWriter::EventWriter(const std::string& path, int64_t size)
    : path_(path), file_(std::make_unique<AppendFile>(path, size)) {}

void EventWriter::add_scalar(std::string_view tag, double value, int64_t step, double wall_time) {
  std::string content;
  put_bytes(content, 1, tag);
  put_tag(content, 2, kFixed32);
  put_raw(content, static_cast<float>(value));
  write_event(event(wall_time, step, 5, summary(content)));
}

void EventWriter::add_text(std::string_view tag, std::string_view text, int64_t step, double wall_time) {
  std::string plugin;
  put_bytes(plugin, 1, "text");
  std::string metadata;
  put_bytes(metadata, 1, plugin);
  std::string dim;
  put_integer(dim, 1, 1);
  std::string shape;
  put_bytes(shape, 2, dim);
  std::string tensor;
  put_integer(tensor, 1, 7);  // DT_STRING
  put_bytes(tensor, 2, shape);
  put_bytes(tensor, 8, text);
  std::string content;
  put_bytes(content, 1, fmt::format("{}/text_summary", tag));
  put_bytes(content, 8, tensor);
  put_bytes(content, 9, metadata);
  write_event(event(wall_time, step, 5, summary(content)));
}

void EventWriter::write_event(std::string_view data) {
  std::string record;
  put_raw(record, static_cast<uint64_t>(data.size()));
  put_raw(record, masked_crc(record));
  record.append(data);
  put_raw(record, masked_crc(data));
  file_->append(record);
}

}  // namespace lathe
