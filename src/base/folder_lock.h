#pragma once
// A folder that one process at a time works in.
#include <optional>
#include <string>

namespace lathe {

/// Held until it is destroyed or the process ends, however it ends; it goes with the folder when that is renamed, and
/// leaves no file behind.
class FolderLock {
 public:
  FolderLock() = default;  ///< holds nothing
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;

  /// @return nullopt when somebody else holds it. Where the file system knows no such locks (some network ones): one
  /// that keeps nobody out.
  [[nodiscard]] static std::optional<FolderLock> take(const std::string& folder);

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace lathe
