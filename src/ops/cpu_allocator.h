#pragma once
// The allocator behind every CPU tensor: counts each block in the ledger under the class of the allocating scope, and
// keeps large freed blocks for the next request, because fresh pages cost more than the arithmetic done in them. Blocks
// in use and blocks kept are together at most a little more than what was in use at most (an eighth, at least 8 and at
// most 64 MiB), so the process stays within the plan.
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lathe {

/// Makes it libtorch's CPU allocator for the rest of the process. Call before the first tensor; later calls do nothing.
/// Blocks may be freed on any thread. A request that cannot be met: @throws Error(kMemory).
void install_cpu_allocator();

/// Bytes of freed blocks that are kept at most (default: no bound of its own); a surplus goes back at once.
void set_cpu_cache_limit(int64_t bytes);
[[nodiscard]] int64_t cpu_cached_bytes();

/// Zeros that nobody has to write: pages of the system, each of which takes memory when it is first written. Counted in
/// the ledger as a whole from now on; never kept for another request.
[[nodiscard]] at::Tensor untouched_zeros(at::IntArrayRef sizes, at::ScalarType dtype);
/// Of a tensor's shape and on its device; on a GPU plain zeros.
[[nodiscard]] at::Tensor untouched_zeros_like(const at::Tensor& like, at::ScalarType dtype);

}  // namespace lathe
