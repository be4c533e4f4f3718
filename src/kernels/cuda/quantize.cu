// Opening quantised weights (kernels/quantize.h) on a GPU: a thread writes neighbouring elements of one block, 16 bytes
// at a time where the place is aligned. The tables come with the call, for a GPU has none of the host's memory.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kThreads = 256;

/// The scale of a block: fp32 itself, or the value of its code times its own scale, and the offset, each rounded.
LATHE_DEVICE float scale_of(const FourBitWeight& weight, int64_t block) {
  if (weight.absmax != nullptr) return weight.absmax[block];
  return weight.scale_values[weight.absmax_codes[block]] * weight.nested[block / kAbsmaxBlock] + weight.offset;
}

template <typename T, int N>
struct OpenFourBit {
  FourBitWeight weight;
  T* y;
  int64_t count;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    block.each([&](int thread) {
      for_packs_of_grid<N>(block, thread, count - count % N, [&](int64_t i) {
        const float scale = scale_of(weight, i / kFourBitBlock);
        store<N>(y + i, [&](int lane) { return value(i + lane) * scale; });
      });
    });
  }
  LATHE_DEVICE float value(int64_t i) const {
    const int both = weight.codes[i / 2];
    return weight.values[i % 2 == 0 ? both >> 4 : both & 15];
  }
};

template <typename T>
struct OpenInt8 {
  const int8_t* codes;
  const float* absmax;
  T* y;
  int64_t width, count;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    block.each([&](int thread) {
      for_packs_of_grid<1>(block, thread, count, [&](int64_t i) {
        const float scale = absmax[i / width] * (1.0F / 127);
        y[i] = narrow<T>(static_cast<float>(codes[i]) * scale);
      });
    });
  }
};

}  // namespace

Status dequantize_4bit(Element type, const FourBitWeight& weight, void* y, int64_t count, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    T* const to = static_cast<T*>(y);
    // A pack never crosses a block: its size divides a block's. A count that it does not divide is served one by one.
    return with_pack<T>(
        [&](auto pack) {
          constexpr int kPack = decltype(pack)::value;
          return launch<kThreads>(blocks_for(count, kThreads * kPack), stream,
                                  OpenFourBit<T, kPack>{weight, to, count});
        },
        count, static_cast<const T*>(to));
  });
}

Status dequantize_int8(Element type, const int8_t* codes, const float* absmax, void* y, int64_t rows, int64_t width,
                       Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    return launch<kThreads>(blocks_for(rows * width, kThreads), stream,
                            OpenInt8<T>{codes, absmax, static_cast<T*>(y), width, rows * width});
  });
}

}  // namespace lathe::kernels::cuda
