#pragma once
// Queues a kernel's blocks: on the GPU under nvcc, in a loop under any other compiler (block.h).
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/cuda/block.h"
#include "kernels/cuda/table.h"

namespace lathe::kernels::cuda {

/// Kernels step over their work by the number of blocks, so more than this buys nothing.
inline constexpr int64_t kMaxBlocks = int64_t{1} << 20;

#ifdef __CUDACC__

template <int kThreads, typename Body>
__global__ void __launch_bounds__(kThreads) run_blocks(const Body body) {
  body(Block<kThreads>());
}

template <int kThreads, typename Body>
Status launch(int64_t blocks, Stream stream, const Body& body) {
  if (blocks == 0) return 0;
  const auto grid = static_cast<unsigned>(std::min(blocks, kMaxBlocks));
  run_blocks<kThreads, Body><<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(body);
  return static_cast<Status>(cudaGetLastError());
}

#else

template <int kThreads, typename Body>
Status launch(int64_t blocks, Stream /*stream*/, const Body& body) {
  const int64_t grid = std::min(blocks, kMaxBlocks);
  for_each_in_host_order(grid, [&](int64_t block) { body(Block<kThreads>(block, grid)); });
  return 0;
}

#endif

[[nodiscard]] inline int64_t blocks_for(int64_t work, int64_t a_block) {
  return (work + a_block - 1) / a_block;
}

/// body(float()) or body(Bf16()).
template <typename Body>
Status with_element(Element type, const Body& body) {
  return type == Element::kBf16 ? body(Bf16()) : body(float());
}

/// body(std::integral_constant<int, N>()): N elements of T to a 16-byte access, or one where width or a pointer is odd.
template <typename T, typename Body, typename... Pointers>
Status with_pack(const Body& body, int64_t width, const Pointers*... pointers) {
  constexpr int kWhole = 16 / static_cast<int>(sizeof(T));
  const bool aligned = width % kWhole == 0 && ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
  return aligned ? body(std::integral_constant<int, kWhole>()) : body(std::integral_constant<int, 1>());
}

}  // namespace lathe::kernels::cuda
