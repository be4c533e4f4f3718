#pragma once
// Neighbouring elements that one thread reads and writes at once, as fp32 in registers.
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/cuda/block.h"
#ifdef __CUDACC__
#include <cuda_bf16.h>
#endif

namespace lathe::kernels::cuda {

LATHE_DEVICE float wide(float value) {
  return value;
}

LATHE_DEVICE float wide(Bf16 bits) {
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  memcpy(&value, &word, sizeof(value));
  return value;
}

/// Nearest bf16, ties to even; NaN stays NaN. The GPU has an instruction for it.
LATHE_DEVICE Bf16 to_bf16(float value) {
#ifdef __CUDACC__
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  if ((bits & 0x7fffffffU) > 0x7f800000U) return 0x7fff;
  return static_cast<Bf16>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
#endif
}

template <typename T>
LATHE_DEVICE T narrow(float value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return to_bf16(value);
  } else {
    return value;
  }
}

template <typename T>
LATHE_DEVICE float round_to(float value) {
  return wide(narrow<T>(value));
}

template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Stored {
  T values[N];
};

template <int N>
struct Pack {
  float values[N];
  LATHE_DEVICE float operator[](int i) const { return values[i]; }
};

template <int N, typename T>
LATHE_DEVICE Pack<N> load(const T* from) {
  const auto stored = *reinterpret_cast<const Stored<T, N>*>(from);
  Pack<N> pack;
  for (int i = 0; i < N; ++i) pack.values[i] = wide(stored.values[i]);
  return pack;
}

/// value(lane) for each lane.
template <int N, typename T, typename Value>
LATHE_DEVICE void store(T* to, const Value& value) {
  Stored<T, N> stored;
  for (int i = 0; i < N; ++i) stored.values[i] = narrow<T>(value(i));
  *reinterpret_cast<Stored<T, N>*>(to) = stored;
}

/// body(first element) for the packs of [0, count) that are this thread's; neighbours take neighbouring packs.
template <int N, typename B, typename Body>
LATHE_DEVICE void for_packs(const B&, int thread, int64_t count, const Body& body) {
  for (int64_t i = static_cast<int64_t>(thread) * N; i < count; i += static_cast<int64_t>(B::threads()) * N) body(i);
}

/// The same over a range that all blocks share.
template <int N, typename B, typename Body>
LATHE_DEVICE void for_packs_of_grid(const B& block, int thread, int64_t count, const Body& body) {
  const int64_t step = block.count() * B::threads() * N;
  for (int64_t i = (block.index() * B::threads() + thread) * N; i < count; i += step) body(i);
}

}  // namespace lathe::kernels::cuda
