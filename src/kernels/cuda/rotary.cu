// kernels/rotary.h on a GPU: a block takes a token, whose angles all heads share.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kThreads = 128;

template <typename T, int N>
struct Rotary {
  const T* x;
  T* y;
  const float *cos, *sin;
  int64_t tokens, heads, half;
  float direction;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    for (int64_t token = block.index(); token < tokens; token += block.count()) {
      block.each([&](int thread) {
        for_packs<N>(block, thread, heads * half, [&](int64_t pair) { rotate(token, pair / half, pair % half); });
      });
    }
  }

  LATHE_DEVICE void rotate(int64_t token, int64_t head, int64_t i) const {
    const int64_t low_at = (token * heads + head) * 2 * half + i, high_at = low_at + half;
    const auto c = load<N>(cos + token * half + i), s = load<N>(sin + token * half + i);
    const auto low = load<N>(x + low_at), high = load<N>(x + high_at);
    store<N>(y + low_at, [&](int lane) {
      return round_to<T>(low[lane] * c[lane]) - round_to<T>(high[lane] * (s[lane] * direction));
    });
    store<N>(y + high_at, [&](int lane) {
      return round_to<T>(high[lane] * c[lane]) + round_to<T>(low[lane] * (s[lane] * direction));
    });
  }
};

}  // namespace

Status rotary(Element type, const void* x, void* y, const float* cos, const float* sin, int64_t tokens, int64_t heads,
              int64_t head_dim, bool inverse, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    const int64_t half = head_dim / 2;
    return with_pack<T>(
        [&](auto pack) {
          return launch<kThreads>(tokens, stream,
                                  Rotary<T, decltype(pack)::value>{static_cast<const T*>(x), static_cast<T*>(y), cos,
                                                                   sin, tokens, heads, half, inverse ? -1.0F : 1.0F});
        },
        half, static_cast<const T*>(x), static_cast<const T*>(y), cos, sin);
  });
}

}  // namespace lathe::kernels::cuda
