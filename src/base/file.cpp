#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <lathe/error.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/write_calls.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

std::string cause(int error) {
  return std::error_code(error, std::generic_category()).message();
}

[[noreturn]] void throw_io(const std::string& path, std::string_view action, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  throw Error(ErrorKind::kIo, fmt::format("cannot {}: {}", action, cause(error)), {.file = path},
              full ? "free some space on that disk, or choose another output folder" : "");
}

/// Owns a descriptor that is only read from or synced, so that closing it cannot lose anything.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

int open_for_reading(const std::string& path, struct stat* status) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) throw Error(ErrorKind::kData, fmt::format("cannot open: {}", cause(errno)), {.file = path});
  if (::fstat(fd, status) != 0 || S_ISDIR(status->st_mode)) {
    const int error = S_ISDIR(status->st_mode) ? EISDIR : errno;
    ::close(fd);
    throw Error(ErrorKind::kData, fmt::format("cannot read: {}", cause(error)), {.file = path});
  }
  return fd;
}

void write_all(int fd, const std::string& path, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t written = write_calls().write(fd, bytes, count);
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_io(path, "write", errno);
    }
    if (written == 0) throw_io(path, "write", EIO);
    bytes += written;
    count -= static_cast<size_t>(written);
  }
}

void sync_path(const std::string& path, int flags) {
  int opened = -1;
  do {
    opened = write_calls().open(path.c_str(), flags | O_CLOEXEC, 0);
  } while (opened < 0 && errno == EINTR);
  const Descriptor fd(opened);
  if (fd.get() < 0) throw_io(path, "open for syncing", errno);
  // Some file systems cannot sync a folder and say so with EINVAL; there is nothing more to do on those.
  if (write_calls().fsync(fd.get()) != 0 && !(errno == EINVAL && (flags & O_DIRECTORY))) throw_io(path, "sync", errno);
}

std::string parent_of(const std::string& path) {
  fs::path clean(path);
  if (!clean.has_filename()) clean = clean.parent_path();
  const fs::path parent = clean.parent_path();
  return parent.empty() ? "." : parent.string();
}

int open_for_writing(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = write_calls().open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

void rename_path(const std::string& from, const std::string& to, std::string_view action) {
  if (write_calls().rename(from.c_str(), to.c_str()) != 0) throw_io(to, action, errno);
}

}  // namespace

MappedFile::MappedFile(std::string path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  struct stat status {};
  const Descriptor fd(open_for_reading(path, &status));
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::kData, "is no regular file", {.file = path});
  const auto size = static_cast<size_t>(status.st_size);
  const void* data = nullptr;
  if (size > 0) {  // mmap refuses a length of nothing
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) throw Error(ErrorKind::kData, fmt::format("cannot map: {}", cause(errno)), {.file = path});
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const std::byte*>(data), size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

NewFile::NewFile(std::string path, std::string said_path)
    : path_(std::move(path)), said_path_(said_path.empty() ? path_ : std::move(said_path)) {
  fd_ = open_for_writing(path_, O_CREAT | O_TRUNC);
  if (fd_ < 0) throw_io(said_path_, "create", errno);
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)), said_path_(std::move(other.said_path_)), fd_(std::exchange(other.fd_, -1)) {}

NewFile::~NewFile() {
  if (fd_ >= 0) ::close(fd_);
}

void NewFile::write(std::span<const std::byte> bytes) {
  LATHE_ASSERT(fd_ >= 0);
  write_all(fd_, said_path_, reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void NewFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void NewFile::sync_and_close() {
  LATHE_ASSERT(fd_ >= 0);
  const int synced = write_calls().fsync(fd_);
  const int sync_error = errno;
  // After a failed sync the kernel may have dropped the pages: a second sync would lie, so the file is given up.
  const int closed = ::close(std::exchange(fd_, -1));
  if (synced != 0) throw_io(said_path_, "sync", sync_error);
  if (closed != 0) throw_io(said_path_, "close", errno);
}

std::string AtomicFile::temporary_name(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return fmt::format("{}.tmp.{}.{}", path, ::getpid(), counter++);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), file_(temporary_name(path_), path_) {}

AtomicFile::~AtomicFile() {
  if (!committed_) (void)write_calls().unlink(file_.path().c_str());
}

void AtomicFile::commit() {
  file_.sync_and_close();
  rename_path(file_.path(), path_, "rename into place");
  committed_ = true;
  sync_directory(parent_of(path_));
}

AppendFile::AppendFile(std::string path, int64_t truncate_to) : path_(std::move(path)) {
  fd_ = open_for_writing(path_, O_CREAT | O_APPEND);
  if (fd_ < 0) throw_io(path_, "open for appending", errno);
  struct stat status {};
  int error = ::fstat(fd_, &status) == 0 ? 0 : errno;
  if (error == 0 && truncate_to >= 0 && status.st_size > truncate_to) {
    error = write_calls().truncate(fd_, truncate_to) == 0 ? 0 : errno;
    status.st_size = truncate_to;
  }
  if (error != 0) {
    ::close(std::exchange(fd_, -1));  // the destructor of an object whose constructor throws does not run
    throw_io(path_, "cut", error);
  }
  size_ = status.st_size;
}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

void AppendFile::append(std::string_view bytes) {
  if (torn_ && write_calls().truncate(fd_, size_) != 0) throw_io(path_, "cut", errno);
  torn_ = true;
  write_all(fd_, path_, bytes.data(), bytes.size());
  torn_ = false;
  size_ += static_cast<int64_t>(bytes.size());
}

std::string read_text_file(const std::string& path) {
  struct stat status {};
  const Descriptor fd(open_for_reading(path, &status));
  std::string text;
  text.reserve(static_cast<size_t>(status.st_size));
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0) {
      if (errno == EINTR) continue;
      throw Error(ErrorKind::kData, fmt::format("cannot read: {}", cause(errno)), {.file = path});
    }
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
  }
}

void atomic_write(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void ensure_writable_directory(const std::string& path, const std::string& key) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kConfig, fmt::format("cannot write to the folder '{}': {}", path, why), {.key = key},
                "choose a folder that you may write to");
  };
  try {
    make_directory(path);
  } catch (const Error& error) {
    refuse(error.message());
  }
  const std::string probe = fmt::format("{}/.probe.{}", path, ::getpid());
  const int fd = open_for_writing(probe, O_CREAT | O_TRUNC);
  if (fd < 0) refuse(cause(errno));
  ::close(fd);
  (void)write_calls().unlink(probe.c_str());
}

void make_directory(const std::string& path) {
  std::string made;
  for (const fs::path& part : fs::path(path)) {
    made = (fs::path(made) / part).string();
    std::error_code unknown;  // a folder that may not be searched: mkdir says what is wrong
    if (fs::is_directory(fs::path(made), unknown)) continue;
    if (write_calls().mkdir(made.c_str(), 0777) != 0 && errno != EEXIST) throw_io(made, "make the folder", errno);
    if (!fs::is_directory(fs::path(made), unknown)) throw_io(made, "make the folder", ENOTDIR);
  }
}

void rename_directory(const std::string& from, const std::string& to) {
  if (file_exists(to)) throw_io(to, "rename into place", EEXIST);
  rename_path(from, to, "rename into place");
}

void sync_file(const std::string& path) {
  sync_path(path, O_RDONLY);
}

void sync_directory(const std::string& path) {
  sync_path(path, O_RDONLY | O_DIRECTORY);
}

void mark_as_used(const std::string& path) {
  (void)::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
}

bool file_exists(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

void remove_file(const std::string& path) {
  if (write_calls().unlink(path.c_str()) != 0 && errno != ENOENT) throw_io(path, "remove", errno);
}

void remove_directory(const std::string& path) {
  std::vector<fs::path> inside;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    inside.push_back(it->path());
  }
  if (error == std::errc::no_such_file_or_directory) return;
  if (error) throw_io(path, "list", error.value());
  for (const fs::path& entry : inside) {
    if (fs::is_directory(fs::symlink_status(entry, error))) {
      remove_directory(entry.string());
    } else {
      remove_file(entry.string());
    }
  }
  if (write_calls().rmdir(path.c_str()) != 0 && errno != ENOENT) throw_io(path, "remove", errno);
}

int64_t free_disk_bytes(const std::string& path) {
  std::error_code error;
  fs::path place = fs::absolute(path, error);
  struct statvfs status {};
  while (::statvfs(place.c_str(), &status) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) throw_io(path, "ask for free space", errno);
    if (!place.has_relative_path()) throw_io(path, "ask for free space", errno);
    place = place.parent_path();
  }
  return static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
}

}  // namespace lathe
