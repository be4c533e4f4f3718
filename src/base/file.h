#pragma once
// The one seam to the file system: every write of Lathe goes through here, so that tests can make each of them fail
// (docs/architecture.md, "Files"). Nothing else in src/ opens a file for writing.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

/// A whole file mapped read-only. Bytes stay valid as long as any copy of the shared_ptr lives.
class MappedFile {
 public:
  /// @throws Error(kData) naming the file when it is missing, unreadable or no regular file.
  [[nodiscard]] static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, const std::byte* data, size_t size);
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// A file written from its beginning, in a place where nobody looks yet (a folder that will be renamed into place).
/// @throws Error(kIo) naming file and cause.
class NewFile {
 public:
  /// @param said_path what errors call it; "": its own path.
  explicit NewFile(std::string path, std::string said_path = "");
  ~NewFile();
  NewFile(NewFile&& other) noexcept;
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Once: a failed sync is never retried on the same file.
  void sync_and_close();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_, said_path_;
  int fd_ = -1;
};

/// A file being written beside its final name; commit() syncs and renames it, the destructor removes what was not
/// committed. @throws Error(kIo) naming file and cause.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::span<const std::byte> bytes) { file_.write(bytes); }
  void write(std::string_view text) { file_.write(text); }
  void commit();

 private:
  static std::string temporary_name(const std::string& path);
  std::string path_;
  NewFile file_;
  bool committed_ = false;
};

/// A log being appended to, one whole line a call, each handed to the system at once (a reader never sees half a line).
class AppendFile {
 public:
  /// @param truncate_to when >= 0 the file is first cut to that many bytes (a run that goes on from a checkpoint).
  explicit AppendFile(std::string path, int64_t truncate_to = -1);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  /// @throws Error(kIo); what was written of the line is cut off by the next call.
  void append(std::string_view bytes);
  [[nodiscard]] int64_t size() const { return size_; }

 private:
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
  bool torn_ = false;  ///< bytes of a failed call stand behind size_
};

/// @throws Error(kData) when missing or unreadable.
[[nodiscard]] std::string read_text_file(const std::string& path);
/// Write beside, sync, rename, sync the folder. @throws Error(kIo)
void atomic_write(const std::string& path, std::string_view text);
/// Creates path and its parents; returns having checked that a file can be made in it. @throws Error(kConfig)
void ensure_writable_directory(const std::string& path, const std::string& key);
/// Makes a folder and its parents. @throws Error(kIo)
void make_directory(const std::string& path);
/// `to` must not exist. Neither folder's own parent is synced. @throws Error(kIo)
void rename_directory(const std::string& from, const std::string& to);
/// fsync of a file that another descriptor wrote. @throws Error(kIo)
void sync_file(const std::string& path);
/// fsync of a folder, so that a rename in it lasts.
void sync_directory(const std::string& path);
/// Sets the file's time to now, where that is allowed.
void mark_as_used(const std::string& path);
[[nodiscard]] bool file_exists(const std::string& path);
/// Removes a file, if it is there. @throws Error(kIo)
void remove_file(const std::string& path);
/// Removes a folder and all in it, if it is there. @throws Error(kIo)
void remove_directory(const std::string& path);
/// Bytes that can still be written to the file system that holds path (or its nearest parent that exists).
[[nodiscard]] int64_t free_disk_bytes(const std::string& path);

}  // namespace lathe
