#pragma once
// TensorBoard's event files, written by hand: records of length, masked CRC-32C and a small protobuf message.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"

namespace lathe {

/// CRC-32C (Castagnoli, RFC 3720 B.4).
[[nodiscard]] uint32_t crc32c(std::string_view bytes);

/// One file of events. Each record is handed to the system at once: a reader sees all that happened.
class EventWriter {
 public:
  /// Starts a new file in directory, named events.out.tfevents.SECONDS.HOST.PID.0 as TensorBoard's own writer names it.
  /// @param wall_time seconds since 1970.
  EventWriter(const std::string& directory, double wall_time);
  /// Goes on in an existing file at byte `size`: what a killed run wrote beyond it is cut.
  EventWriter(const std::string& path, int64_t size);

  void add_scalar(std::string_view tag, double value, int64_t step, double wall_time);
  void add_text(std::string_view tag, std::string_view text, int64_t step, double wall_time);
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int64_t size() const { return file_->size(); }

 private:
  void write_event(std::string_view event);
  std::string path_;
  std::unique_ptr<AppendFile> file_;
};

}  // namespace lathe
