// kernels/swiglu.h on a GPU.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kThreads = 256;

/// The last few elements, fewer than a pack, go one by one to the first threads of the last block.
template <int N, typename B, typename Body>
LATHE_DEVICE void for_all(const B& block, int64_t count, const Body& body) {
  block.each([&](int thread) {
    for_packs_of_grid<N>(block, thread, count - count % N,
                         [&](int64_t i) { body(i, std::integral_constant<int, N>()); });
    const int64_t rest = count - count % N + thread;
    if (N > 1 && block.index() == block.count() - 1 && rest < count) body(rest, std::integral_constant<int, 1>());
  });
}

template <typename T, int N>
struct Swiglu {
  const T *gate, *up;
  T* y;
  int64_t count;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    for_all<N>(block, count, [&](int64_t i, auto pack) {
      constexpr int kPack = decltype(pack)::value;
      const auto g = load<kPack>(gate + i), u = load<kPack>(up + i);
      store<kPack>(y + i, [&](int lane) { return round_to<T>(g[lane] / (1.0F + expf(-g[lane]))) * u[lane]; });
    });
  }
};

/// In place, and dy becomes what forward gave.
template <typename T, int N>
struct SwigluBackward {
  T *dy, *gate, *up;
  int64_t count;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    for_all<N>(block, count, [&](int64_t i, auto pack) {
      constexpr int kPack = decltype(pack)::value;
      const auto d = load<kPack>(dy + i), g = load<kPack>(gate + i), u = load<kPack>(up + i);
      Pack<kPack> denominator, silu;
      for (int lane = 0; lane < kPack; ++lane) {
        denominator.values[lane] = 1.0F + expf(-g[lane]);
        silu.values[lane] = round_to<T>(g[lane] / denominator[lane]);
      }
      store<kPack>(gate + i, [&](int lane) {
        const float sigmoid = 1.0F / denominator[lane];
        return round_to<T>(d[lane] * u[lane]) * (sigmoid * (1.0F + g[lane] * (1.0F - sigmoid)));
      });
      store<kPack>(up + i, [&](int lane) { return d[lane] * silu[lane]; });
      store<kPack>(dy + i, [&](int lane) { return silu[lane] * u[lane]; });
    });
  }
};

}  // namespace

Status swiglu(Element type, const void* gate, const void* up, void* y, int64_t count, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    const T *g = static_cast<const T*>(gate), *u = static_cast<const T*>(up);
    return with_pack<T>(
        [&](auto pack) {
          constexpr int kPack = decltype(pack)::value;
          return launch<kThreads>(blocks_for(count, kThreads * kPack), stream,
                                  Swiglu<T, kPack>{g, u, static_cast<T*>(y), count});
        },
        0, g, u, static_cast<const T*>(y));
  });
}

Status swiglu_backward(Element type, void* dy, void* gate, void* up, int64_t count, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    T *d = static_cast<T*>(dy), *g = static_cast<T*>(gate), *u = static_cast<T*>(up);
    return with_pack<T>(
        [&](auto pack) {
          constexpr int kPack = decltype(pack)::value;
          return launch<kThreads>(blocks_for(count, kThreads * kPack), stream,
                                  SwigluBackward<T, kPack>{d, g, u, count});
        },
        0, d, g, u);
  });
}

}  // namespace lathe::kernels::cuda
