#include "ops/cpu_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <fmt/format.h>
#include <lathe/error.h>
#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "base/memory_ledger.h"

namespace lathe {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kCachedFrom = size_t{256} << 10;  // smaller blocks: malloc's own lists serve them well

/// Stands in front of each block, so that freeing needs nothing but the pointer.
struct alignas(kAlignment) Header {
  size_t requested;
  size_t capacity;  // header included
  MemoryClass memory_class;
};
static_assert(sizeof(Header) == kAlignment);

/// Sizes in eighths of a power of two: at most 12.5 % is wasted, and a freed block fits requests near its size.
size_t size_class(size_t bytes) {
  if (bytes < kCachedFrom) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t step = std::bit_floor(bytes) / 8;
  const size_t rounded = (bytes + step - 1) / step * step;
  return rounded < kHugePage ? rounded : (rounded + kHugePage - 1) / kHugePage * kHugePage;
}

/// Freed large blocks by capacity. Safe for concurrent use.
class BlockCache {
 public:
  void* take(size_t capacity) {
    const std::lock_guard lock(mutex_);
    const auto found = free_.find(capacity);
    if (found == free_.end() || found->second.empty()) return nullptr;
    void* block = found->second.back();
    found->second.pop_back();
    bytes_ -= capacity;
    return block;
  }

  /// @returns false when it would hold too much: the caller frees the block.
  bool put(void* block, size_t capacity) {
    const std::lock_guard lock(mutex_);
    if (bytes_ + capacity > limit_) return false;
    free_[capacity].push_back(block);
    bytes_ += capacity;
    return true;
  }

  void shrink(size_t limit) {
    const std::lock_guard lock(mutex_);
    for (auto& [capacity, blocks] : free_) {
      while (bytes_ > limit && !blocks.empty()) {
        std::free(blocks.back());
        blocks.pop_back();
        bytes_ -= capacity;
      }
    }
  }

  void set_limit(size_t limit) {
    {
      const std::lock_guard lock(mutex_);
      limit_ = limit;
    }
    shrink(limit);
  }

  size_t bytes() {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  size_t bytes_ = 0, limit_ = size_t{1} << 30;
};

/// Never destroyed: tensors of static storage may be freed after main.
BlockCache& cache() {
  static auto* instance = new BlockCache;
  return *instance;
}

void* system_block(size_t capacity) {
  const size_t alignment = capacity >= kHugePage ? kHugePage : kAlignment;
  void* block = nullptr;
  if (posix_memalign(&block, alignment, capacity) != 0) return nullptr;
  if (capacity >= kHugePage) madvise(block, capacity, MADV_HUGEPAGE);  // a hint: refusal changes nothing
  return block;
}

void* new_block(size_t capacity, size_t requested) {
  void* block = capacity >= kCachedFrom ? cache().take(capacity) : nullptr;
  if (block == nullptr) block = system_block(capacity);
  if (block == nullptr) {
    cache().shrink(0);
    block = system_block(capacity);
  }
  if (block == nullptr) {
    throw Error(ErrorKind::kMemory,
                fmt::format("no memory for {} of {} ({} held already)", format_bytes(static_cast<int64_t>(requested)),
                            name(MemoryScope::current()), format_bytes(cpu_ledger().current_total())),
                {}, "a smaller per_device_train_batch_size or max_seq_length, or gradient_checkpointing, takes less");
  }
  return block;
}

void free_block(void* data) {
  if (data == nullptr) return;
  auto* header = reinterpret_cast<Header*>(static_cast<char*>(data) - sizeof(Header));
  const size_t capacity = header->capacity;
  cpu_ledger().add(header->memory_class, -static_cast<int64_t>(header->requested));
  if (capacity < kCachedFrom || !cache().put(header, capacity)) std::free(header);
}

class CpuAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::DeviceType::CPU)};
    const size_t capacity = size_class(bytes + sizeof(Header));
    void* block = new_block(capacity, bytes);
    const MemoryClass memory_class = MemoryScope::current();
    new (block) Header{bytes, capacity, memory_class};
    cpu_ledger().add(memory_class, static_cast<int64_t>(bytes));
    void* data = static_cast<char*>(block) + sizeof(Header);
    return {data, data, &free_block, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
};

}  // namespace

void install_cpu_allocator() {
  static const bool once = [] {
    c10::SetCPUAllocator(new CpuAllocator, /*priority=*/200);
    return true;
  }();
  (void)once;
}

void set_cpu_cache_limit(int64_t bytes) {
  cache().set_limit(static_cast<size_t>(bytes));
}
int64_t cpu_cached_bytes() {
  return static_cast<int64_t>(cache().bytes());
}

}  // namespace lathe
