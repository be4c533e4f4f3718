#include "ops/cpu_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <fmt/format.h>
#include <lathe/error.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <mutex>

#include "base/memory_ledger.h"

namespace lathe {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kPage = size_t{4} << 10;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kCachedFrom = size_t{256} << 10;  // smaller blocks: malloc's own lists serve them well
constexpr size_t kSlack = size_t{64} << 20;        // kept beyond the peak, so that the first steps warm up

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
  const size_t step = std::max(std::bit_floor(bytes) / 8, kPage);
  return (bytes + step - 1) / step * step;
}

/// Pages of their own for a large block: what is unmapped is given back, where malloc's heap, cut into sizes that
/// change with every batch, would only grow. Huge pages want their alignment.
void* map_pages(size_t capacity) {
  const size_t padded = capacity >= kHugePage ? capacity + kHugePage : capacity;
  void* mapped = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (capacity < kHugePage) return mapped;
  auto* begin = static_cast<char*>(mapped);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) munmap(begin, before);
  if (before < kHugePage) munmap(begin + before + capacity, kHugePage - before);
  madvise(begin + before, capacity, MADV_HUGEPAGE);  // a hint: refusal changes nothing
  return begin + before;
}

/// Freed large blocks, oldest first out. Keeps live and cached bytes together at or below what was live at most (and a
/// little slack), so that the process never holds more than its peak. Safe for concurrent use.
class BlockCache {
 public:
  /// The smallest block of at least `capacity` and at most half as much again, else fresh pages; null: no memory.
  void* take(size_t capacity, size_t& taken) {
    const std::lock_guard lock(mutex_);
    const auto found = by_size_.lower_bound(capacity);
    if (found != by_size_.end() && found->first <= capacity + capacity / 2) {
      taken = found->first;
      void* block = found->second->block;
      remove(found);
      live_ += taken;
      peak_ = std::max(peak_, live_);
      return block;
    }
    taken = capacity;
    live_ += capacity;
    peak_ = std::max(peak_, live_);
    keep_within_peak();
    void* block = map_pages(capacity);
    if (block == nullptr) {
      evict_down_to(0);
      block = map_pages(capacity);
    }
    if (block == nullptr) live_ -= capacity;
    return block;
  }

  void put(void* block, size_t capacity) {
    const std::lock_guard lock(mutex_);
    live_ -= capacity;
    by_age_.push_back({block, {}});
    by_age_.back().size = by_size_.emplace(capacity, std::prev(by_age_.end()));
    cached_ += capacity;
    keep_within_peak();
  }

  void set_limit(size_t limit) {
    const std::lock_guard lock(mutex_);
    limit_ = limit;
    keep_within_peak();
  }

  size_t bytes() {
    const std::lock_guard lock(mutex_);
    return cached_;
  }

 private:
  struct Entry;
  using ByAge = std::list<Entry>;
  using BySize = std::multimap<size_t, ByAge::iterator>;
  struct Entry {
    void* block;
    BySize::iterator size;
  };

  void remove(BySize::iterator at) {
    cached_ -= at->first;
    by_age_.erase(at->second);
    by_size_.erase(at);
  }

  void evict_down_to(size_t bytes) {
    while (cached_ > bytes) {
      const Entry oldest = by_age_.front();
      const size_t capacity = oldest.size->first;
      remove(oldest.size);
      munmap(oldest.block, capacity);
    }
  }

  void keep_within_peak() { evict_down_to(std::min(limit_, peak_ + kSlack - live_)); }

  std::mutex mutex_;
  ByAge by_age_;
  BySize by_size_;
  size_t cached_ = 0, live_ = 0, peak_ = 0, limit_ = std::numeric_limits<size_t>::max();
};

/// Never destroyed: tensors of static storage may be freed after main.
BlockCache& cache() {
  static auto* instance = new BlockCache;
  return *instance;
}

void* small_block(size_t capacity) {
  void* block = nullptr;
  return posix_memalign(&block, kAlignment, capacity) == 0 ? block : nullptr;
}

/// @param capacity what was asked for; what was given afterwards.
void* new_block(size_t& capacity, size_t requested) {
  void* block = capacity < kCachedFrom ? small_block(capacity) : cache().take(capacity, capacity);
  if (block != nullptr) return block;
  throw Error(ErrorKind::kMemory,
              fmt::format("no memory for {} of {} ({} held already)", format_bytes(static_cast<int64_t>(requested)),
                          name(MemoryScope::current()), format_bytes(cpu_ledger().current_total())),
              {}, "a smaller per_device_train_batch_size or max_seq_length, or gradient_checkpointing, takes less");
}

void free_block(void* data) {
  if (data == nullptr) return;
  auto* header = reinterpret_cast<Header*>(static_cast<char*>(data) - sizeof(Header));
  const size_t capacity = header->capacity;
  cpu_ledger().add(header->memory_class, -static_cast<int64_t>(header->requested));
  if (capacity < kCachedFrom) {
    std::free(header);
  } else {
    cache().put(header, capacity);
  }
}

class CpuAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::DeviceType::CPU)};
    size_t capacity = size_class(bytes + sizeof(Header));
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
    // oneDNN keeps a compiled product for each shape it meets, and ATen another list of them, each up to 1,024; but the
    // number of tokens changes with every batch: 0.3 GB after a hundred batches of the 0.5B shape. Those of one batch
    // are a few dozen.
    setenv("LRU_CACHE_CAPACITY", "128", /*overwrite=*/0);
    setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128", /*overwrite=*/0);
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
