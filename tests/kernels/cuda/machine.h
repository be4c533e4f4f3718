#pragma once
// Where the tests of the CUDA kernels run: on the host, block by block, or (LATHE_TEST_ON_GPU) on the GPU by the
// plug-in.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "kernels/cuda/plugin.h"
#include "kernels/kernel_test.h"
#ifndef LATHE_TEST_ON_GPU
#include "kernels/cuda/block.h"
#endif

namespace lathe::kernels {

#ifdef LATHE_TEST_ON_GPU
inline const cuda::Kernels* machine() {
  return cuda_plugin().kernels;
}
/// Why nothing can run here; empty: it can.
inline std::string why_not() {
  if (machine() == nullptr) return cuda_plugin().missing;
  return machine()->device_count() > 0 ? "" : "there is a driver but no GPU";
}
template <typename Body>
void for_each_order(const Body& body) {
  body();
}
#else
inline const cuda::Kernels* machine() {
  return lathe_cuda_kernels(cuda::kTableVersion);
}
inline std::string why_not() {
  return "";
}
/// Threads and blocks one after another, from the last to the first, and mixed.
template <typename Body>
void for_each_order(const Body& body) {
  for (const auto order : {cuda::HostOrder::kForward, cuda::HostOrder::kBackward, cuda::HostOrder::kInterleaved}) {
    SCOPED_TRACE(static_cast<int>(order));
    cuda::host_order = order;
    body();
  }
  cuda::host_order = cuda::HostOrder::kForward;
}
#endif

inline void succeed(cuda::Status status) {
  ASSERT_EQ(status, 0) << machine()->error_text(status);
}

/// Values in the machine's memory between two guards; shift moves them off a 16-byte boundary.
template <typename T>
class Buffer {
 public:
  explicit Buffer(const std::vector<T>& values, int64_t shift = 0) : count_(values.size()), before_(kGuard) {
    before_ += static_cast<size_t>(shift);
    std::vector<T> all(before_ + count_ + kGuard, kMark);
    std::copy(values.begin(), values.end(), all.begin() + static_cast<std::ptrdiff_t>(before_));
    bytes_ = static_cast<int64_t>(all.size() * sizeof(T));
    succeed(machine()->allocate(&memory_, bytes_));
    succeed(machine()->copy(memory_, all.data(), bytes_));
  }
  ~Buffer() { succeed(machine()->release(memory_)); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() { return static_cast<T*>(memory_) + before_; }
  /// What it holds once all work is done; nothing may have been written round it.
  std::vector<T> read() {
    std::vector<T> all(before_ + count_ + kGuard);
    succeed(machine()->synchronize());
    succeed(machine()->copy(all.data(), memory_, bytes_));
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(before_);
    const auto last = first + static_cast<std::ptrdiff_t>(count_);
    const auto marked = [](const T& value) { return value == kMark; };
    EXPECT_TRUE(std::all_of(all.begin(), first, marked) && std::all_of(last, all.end(), marked)) << "wrote outside";
    return {first, last};
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr T kMark = static_cast<T>(77);
  size_t count_, before_;
  int64_t bytes_ = 0;
  void* memory_ = nullptr;
};

template <typename T>
constexpr cuda::Element element_of() {
  return std::is_same_v<T, Bf16> ? cuda::Element::kBf16 : cuda::Element::kFloat;
}

}  // namespace lathe::kernels
