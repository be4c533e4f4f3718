// kernels/dropout.h on a GPU: a thread draws one counter and serves its eight elements, neighbours in the warp theirs,
// so that sixteen lanes touch sixteen neighbouring elements.
#include "base/philox.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kCounters = 16, kDraws = 8;

template <typename T>
struct Dropout {
  const T* x;
  T* y;
  int64_t first, count;
  DropoutDraw draw;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    const int64_t counters = (count + kDropoutBlock - 1) / kDropoutBlock * kCounters;
    block.each([&](int thread) { for_packs_of_grid<1>(block, thread, counters, [&](int64_t i) { serve(i); }); });
  }

  LATHE_DEVICE void serve(int64_t counter) const {
    const auto number = static_cast<uint64_t>(first / kDropoutBlock * kCounters + counter);
    const PhiloxCounter words = philox4x32(
        {static_cast<uint32_t>(number), draw.rest[0] + static_cast<uint32_t>(number >> 32), draw.rest[1], draw.rest[2]},
        draw.key);
    const int64_t begin = counter / kCounters * kDropoutBlock + counter % kCounters;
    for (int64_t i = 0; i < kDraws; ++i) {
      const int64_t at = begin + kCounters * i;
      if (at >= count) return;
      const uint32_t word = words[static_cast<size_t>(i / 2)], drawn = i % 2 == 0 ? word & 0xffffU : word >> 16;
      y[at] = drawn < draw.threshold ? T{} : narrow<T>(wide(x[at]) * draw.scale);
    }
  }
};

}  // namespace

Status dropout(Element type, const void* x, void* y, int64_t first, int64_t count, const DropoutDraw& draw,
               Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    return launch<kThreads>(blocks_for(blocks_for(count, kDropoutBlock) * kCounters, kThreads), stream,
                            Dropout<T>{static_cast<const T*>(x), static_cast<T*>(y), first, count, draw});
  });
}

}  // namespace lathe::kernels::cuda
