#pragma once
// Every allocation belongs to a class; the ledger counts what each class holds now and held at most.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lathe {

enum class MemoryClass : uint8_t {
  kWeights,
  kMaster,
  kGradients,
  kOptimizer,
  kActivations,
  kWorkspace,
  kCommunication
};
inline constexpr size_t kNumMemoryClasses = 7;
[[nodiscard]] std::string_view name(MemoryClass memory_class);  ///< "weights", "master", …

/// Counts of one device. Safe for concurrent use. Bytes mapped from files are counted in weights by whoever maps them.
class MemoryLedger {
 public:
  void add(MemoryClass memory_class, int64_t bytes);  ///< bytes may be negative: freed
  [[nodiscard]] int64_t current(MemoryClass memory_class) const;
  [[nodiscard]] int64_t peak(MemoryClass memory_class) const;
  [[nodiscard]] int64_t current_total() const;
  [[nodiscard]] int64_t peak_total() const;  ///< of the sum, not the sum of the peaks
  void reset_peaks();

 private:
  struct Count {
    std::atomic<int64_t> now{0}, peak{0};
  };
  std::array<Count, kNumMemoryClasses> classes_;
  Count total_;
};

/// The ledger of the CPU, fed by the accounting allocator (ops/cpu_allocator.h).
[[nodiscard]] MemoryLedger& cpu_ledger();

/// Allocations of this thread belong to the class of the innermost scope; kWorkspace outside any.
class MemoryScope {
 public:
  explicit MemoryScope(MemoryClass memory_class);
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;
  [[nodiscard]] static MemoryClass current();

 private:
  MemoryClass before_;
};

/// Of this process, from /proc: bytes. VmHWM, and the resident part that is backed by files (RssFile).
struct ProcessMemory {
  int64_t peak_rss_bytes = 0, rss_bytes = 0, file_backed_bytes = 0;
};
[[nodiscard]] ProcessMemory process_memory();
/// Gives the pages of freed small blocks back to the system: after reading files that were large while they were parsed.
void trim_heap();
/// Bytes a program may still take: the smaller of MemAvailable and the cgroup's limit less its use.
[[nodiscard]] int64_t available_memory_bytes();

/// "1.23 GiB", "512 MiB", "4.0 KiB".
[[nodiscard]] std::string format_bytes(int64_t bytes);
/// "8GiB", "800 MB", "1048576" → bytes. @throws Error(kConfig)
[[nodiscard]] int64_t parse_bytes(std::string_view text);

}  // namespace lathe
