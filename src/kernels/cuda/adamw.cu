// kernels/adamw.h on a GPU.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <int N>
struct AdamW {
  float* parameter;
  const float* gradient;
  float *exp_avg, *exp_avg_sq;
  int64_t count;
  AdamWStep step;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    block.each([&](int thread) {
      for_packs_of_grid<N>(block, thread, count - count % N, [&](int64_t i) { update<N>(i); });
      const int64_t rest = count - count % N + thread;
      if (N > 1 && block.index() == block.count() - 1 && rest < count) update<1>(rest);
    });
  }

  template <int kPack>
  LATHE_DEVICE void update(int64_t i) const {
    const auto p = load<kPack>(parameter + i), g = load<kPack>(gradient + i);
    auto m = load<kPack>(exp_avg + i), v = load<kPack>(exp_avg_sq + i);
    for (int lane = 0; lane < kPack; ++lane) {
      const float scaled = g[lane] * step.gradient_scale;
      m.values[lane] = fmaf(step.one_minus_beta1, scaled - m[lane], m[lane]);
      v.values[lane] = v[lane] * step.beta2 + step.one_minus_beta2 * scaled * scaled;
    }
    store<kPack>(exp_avg + i, [&](int lane) { return m[lane]; });
    store<kPack>(exp_avg_sq + i, [&](int lane) { return v[lane]; });
    store<kPack>(parameter + i, [&](int lane) {
      const float denominator = sqrtf(v[lane]) / step.root_correction2 + step.epsilon;
      return p[lane] * step.decay - step.step_size * m[lane] / denominator;
    });
  }
};

}  // namespace

Status adamw(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
             const AdamWStep& step, Stream stream) {
  return with_pack<float>(
      [&](auto pack) {
        constexpr int kPack = decltype(pack)::value;
        return launch<kThreads>(blocks_for(count, kThreads * kPack), stream,
                                AdamW<kPack>{parameter, gradient, exp_avg, exp_avg_sq, count, step});
      },
      0, parameter, gradient, exp_avg, exp_avg_sq);
}

}  // namespace lathe::kernels::cuda
