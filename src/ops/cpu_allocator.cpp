#include "ops/cpu_allocator.h"

#include <ATen/ATen.h>
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
// Zeros that nobody touched have pages of their own from here on: at most one in sixteen is half used, and what is
// never touched (state before the first update) costs nothing.
constexpr size_t kUntouchedFrom = size_t{64} << 10;
// Kept beyond the peak, so that the first steps warm up: an eighth of it, and of large and small ones so much.
constexpr size_t kMostSlack = size_t{64} << 20, kLeastSlack = size_t{8} << 20;

/// Stands in front of each block, so that freeing needs nothing but the pointer.
struct alignas(kAlignment) Header {
  size_t requested;
  size_t touched;   // header included: what may lie in memory; 0: a block of malloc's
  size_t reserved;  // address space
  MemoryClass memory_class;
};
static_assert(sizeof(Header) == kAlignment);

size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/// Address space for a large block. A power of two, so that the block serves batches of other lengths too: pages that
/// nobody touches cost nothing. Blocks have pages of their own, for malloc's heap, cut into sizes that change with
/// every batch, would only grow. Huge pages want their alignment.
void* reserve(size_t bytes) {
  const size_t padded = bytes >= kHugePage ? bytes + kHugePage : bytes;
  void* mapped = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (bytes < kHugePage) return mapped;
  auto* begin = static_cast<char*>(mapped);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) munmap(begin, before);
  if (before < kHugePage) munmap(begin + before + bytes, kHugePage - before);
  return begin + before;
}

/// Huge pages for what is about to be touched for the first time, whole ones only: the last, half used, would lie in
/// memory whole.
void advise_huge_pages(void* block, size_t touched_before, size_t touched) {
  const size_t begin = round_up(touched_before, kHugePage), end = touched / kHugePage * kHugePage;
  if (begin < end) madvise(static_cast<char*>(block) + begin, end - begin, MADV_HUGEPAGE);  // refusal changes nothing
}

struct Block {
  void* data = nullptr;
  size_t touched = 0, reserved = 0;
};

/// Freed large blocks, oldest first out. Keeps live and cached bytes together at or below what was live at most (and a
/// little slack), so that the process never holds more than its peak. Safe for concurrent use.
class BlockCache {
 public:
  /// A block with room for `bytes`; data null: no memory.
  Block take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    Block block = take_cached(bytes);
    const size_t touched_before = block.touched;
    block.touched = std::max(touched_before, bytes);
    live_ += block.touched;
    peak_ = std::max(peak_, live_);
    keep_within_peak();
    if (block.data == nullptr) block = fresh(bytes);
    if (block.data == nullptr) {
      live_ -= bytes;
    } else {
      advise_huge_pages(block.data, touched_before, block.touched);
    }
    return block;
  }

  void put(const Block& block) {
    const std::lock_guard lock(mutex_);
    live_ -= block.touched;
    by_age_.push_back({block, {}});
    by_age_.back().size = by_size_.emplace(block.touched, std::prev(by_age_.end()));
    cached_ += block.touched;
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
    Block block;
    BySize::iterator size;
  };

  /// The smallest block that holds the request and wastes at most half as much again; else the largest that can grow to
  /// hold it, so that only what it lacks has to be brought in; else none.
  Block take_cached(size_t bytes) {
    const auto fits = by_size_.lower_bound(bytes);
    if (fits != by_size_.end() && fits->first <= bytes + bytes / 2) return remove(fits);
    for (auto at = fits; at != by_size_.begin();) {
      --at;
      if (at->first < bytes / 2) break;
      if (at->second->block.reserved >= bytes) return remove(at);
    }
    return {};
  }

  Block fresh(size_t bytes) {
    const size_t reserved = std::bit_ceil(bytes);
    void* data = reserve(reserved);
    if (data == nullptr) {
      evict_down_to(0);
      data = reserve(reserved);
    }
    return {data, bytes, reserved};
  }

  Block remove(BySize::iterator at) {
    const Block block = at->second->block;
    cached_ -= block.touched;
    by_age_.erase(at->second);
    by_size_.erase(at);
    return block;
  }

  void evict_down_to(size_t bytes) {
    while (cached_ > bytes) {
      const Block oldest = remove(by_age_.front().size);
      munmap(oldest.data, oldest.reserved);
    }
  }

  void keep_within_peak() {
    const size_t slack = std::clamp(peak_ / 8, kLeastSlack, kMostSlack);
    evict_down_to(std::min(limit_, peak_ + slack - live_));
  }

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

Block small_block(size_t bytes) {
  void* data = nullptr;
  if (posix_memalign(&data, kAlignment, round_up(bytes, kAlignment)) != 0) return {};
  return {data, 0, 0};
}

[[noreturn]] void refuse(size_t bytes) {
  throw Error(ErrorKind::kMemory,
              fmt::format("no memory for {} of {} ({} held already)", format_bytes(static_cast<int64_t>(bytes)),
                          name(MemoryScope::current()), format_bytes(cpu_ledger().current_total())),
              {}, "a smaller per_device_train_batch_size or max_seq_length, or gradient_checkpointing, takes less");
}

Block new_block(size_t bytes) {
  const Block block = bytes < kCachedFrom ? small_block(bytes) : cache().take(round_up(bytes, kPage));
  if (block.data == nullptr) refuse(bytes);
  return block;
}

void free_block(void* data) {
  if (data == nullptr) return;
  auto* header = reinterpret_cast<Header*>(static_cast<char*>(data) - sizeof(Header));
  const Block block{header, header->touched, header->reserved};
  cpu_ledger().add(header->memory_class, -static_cast<int64_t>(header->requested));
  if (block.touched == 0) {
    std::free(block.data);
  } else {
    cache().put(block);
  }
}

class CpuAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::DeviceType::CPU)};
    const Block block = new_block(bytes + sizeof(Header));
    const MemoryClass memory_class = MemoryScope::current();
    new (block.data) Header{bytes, block.touched, block.reserved, memory_class};
    cpu_ledger().add(memory_class, static_cast<int64_t>(bytes));
    void* data = static_cast<char*>(block.data) + sizeof(Header);
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

at::Tensor untouched_zeros(at::IntArrayRef sizes, at::ScalarType dtype) {
  const auto bytes = static_cast<size_t>(c10::multiply_integers(sizes)) * c10::elementSize(dtype);
  if (bytes < kUntouchedFrom) return at::zeros(sizes, at::dtype(dtype));
  const size_t capacity = round_up(bytes, kPage);
  void* pages = reserve(capacity);
  if (pages == nullptr) refuse(bytes);
  advise_huge_pages(pages, 0, capacity);
  const MemoryClass memory_class = MemoryScope::current();
  cpu_ledger().add(memory_class, static_cast<int64_t>(bytes));
  const auto release = [capacity, memory_class, bytes](void* data) {
    munmap(data, capacity);
    cpu_ledger().add(memory_class, -static_cast<int64_t>(bytes));
  };
  return at::from_blob(pages, sizes, release, at::dtype(dtype));
}

at::Tensor untouched_zeros_like(const at::Tensor& like, at::ScalarType dtype) {
  if (like.is_cpu()) return untouched_zeros(like.sizes(), dtype);
  return at::zeros(like.sizes(), like.options().dtype(dtype));
}

void set_cpu_cache_limit(int64_t bytes) {
  cache().set_limit(static_cast<size_t>(bytes));
}
int64_t cpu_cached_bytes() {
  return static_cast<int64_t>(cache().bytes());
}

}  // namespace lathe
