#pragma once
// A kernel's view of the threads that run it. A kernel is a struct with its arguments and
//
//     template <typename Block> LATHE_DEVICE void operator()(const Block& block) const;
//
// written in phases: each() runs a function once a thread, join() also joins what it returns over the block. nvcc
// compiles it for the GPU, where a phase is one call; any C++ compiler compiles it for the host, where a phase is a
// loop. So tests run the very same body without a GPU. Rules that make both the same:
//   - Between phases all threads do the same, and keep nothing a thread in variables.
//   - Threads meet in join() alone. What one thread writes, another may read only after the next join().
//   - Sums are made in the same order on both sides: 32 lanes as a butterfly, then warp after warp.
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define LATHE_DEVICE __device__ __forceinline__
#else
#define LATHE_DEVICE inline
#endif

namespace lathe::kernels::cuda {

inline constexpr int kWarp = 32;

#ifdef __CUDACC__

/// value of the lane whose number differs in the bits of mask, for any trivially copyable V of whole words.
template <typename V>
LATHE_DEVICE V shuffle(const V& value, int mask) {
  constexpr int kWords = sizeof(V) / sizeof(uint32_t);
  uint32_t words[kWords];
  memcpy(words, &value, sizeof(V));
#pragma unroll
  for (int i = 0; i < kWords; ++i) words[i] = __shfl_xor_sync(0xffffffffU, words[i], mask);
  V other;
  memcpy(&other, words, sizeof(V));
  return other;
}

template <int kThreads>
class Block {
 public:
  LATHE_DEVICE int64_t index() const { return blockIdx.x; }
  LATHE_DEVICE int64_t count() const { return gridDim.x; }
  static constexpr int threads() { return kThreads; }

  template <typename Phase>
  LATHE_DEVICE void each(const Phase& phase) const {
    phase(static_cast<int>(threadIdx.x));
  }
  /// By one thread.
  template <typename Phase>
  LATHE_DEVICE void once(const Phase& phase) const {
    if (threadIdx.x == 0) phase();
  }
  /// join over all threads of what phase(thread) returns, known to every thread. join(a, b) = join(b, a), bit for bit.
  template <typename Phase, typename Join>
  LATHE_DEVICE auto join(const Phase& phase, const Join& joined) const {
    using V = decltype(phase(0));
    static_assert(sizeof(V) % sizeof(uint32_t) == 0 && kThreads % kWarp == 0);
    __shared__ V of_warp[kThreads / kWarp];
    V value = phase(static_cast<int>(threadIdx.x));
#pragma unroll
    for (int mask = kWarp / 2; mask > 0; mask /= 2) value = joined(value, shuffle(value, mask));
    __syncthreads();  // the last join's values have been read
    if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = of_warp[0];
    for (int i = 1; i < kThreads / kWarp; ++i) value = joined(value, of_warp[i]);
    return value;
  }
};

#else

/// In which order the host runs threads and blocks: results must not depend on it (a test tries all).
enum class HostOrder { kForward, kBackward, kInterleaved };
inline HostOrder host_order = HostOrder::kForward;

template <typename Body>
void for_each_in_host_order(int64_t count, const Body& body) {
  switch (host_order) {
    case HostOrder::kForward:
      for (int64_t i = 0; i < count; ++i) body(i);
      return;
    case HostOrder::kBackward:
      for (int64_t i = count; i-- > 0;) body(i);
      return;
    case HostOrder::kInterleaved:
      for (int64_t start = 0; start < 7; ++start) {
        for (int64_t i = start; i < count; i += 7) body(i);
      }
  }
}

template <int kThreads>
class Block {
 public:
  Block(int64_t index, int64_t count) : index_(index), count_(count) {}
  [[nodiscard]] int64_t index() const { return index_; }
  [[nodiscard]] int64_t count() const { return count_; }
  static constexpr int threads() { return kThreads; }

  template <typename Phase>
  void each(const Phase& phase) const {
    for_each_in_host_order(kThreads, [&](int64_t thread) { phase(static_cast<int>(thread)); });
  }
  template <typename Phase>
  void once(const Phase& phase) const {
    phase();
  }
  template <typename Phase, typename Join>
  auto join(const Phase& phase, const Join& joined) const {
    using V = decltype(phase(0));
    V values[kThreads];
    each([&](int thread) { values[thread] = phase(thread); });
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      V before[kThreads];
      std::memcpy(before, values, sizeof(values));
      for (int i = 0; i < kThreads; ++i) values[i] = joined(before[i], before[i ^ mask]);
    }
    V value = values[0];
    for (int i = kWarp; i < kThreads; i += kWarp) value = joined(value, values[i]);
    return value;
  }

 private:
  int64_t index_, count_;
};

#endif

/// phase(thread)'s values added up.
template <typename B, typename Phase>
LATHE_DEVICE auto sum_over(const B& block, const Phase& phase) {
  return block.join(phase, [](auto a, auto b) { return a + b; });
}

}  // namespace lathe::kernels::cuda
