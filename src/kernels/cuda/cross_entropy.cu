// kernels/cross_entropy.h on a GPU: a block takes a row and reads it once for maximum and sum together (Milakov &
// Gimelshein 2018), once more for the gradient.
#include <cfloat>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kThreads = 512;

/// Of some of a row's logits. The largest starts at the lowest finite number: -inf - -inf would be NaN.
struct RowSums {
  double total = 0;  ///< of the logits; worked out for label smoothing alone
  float largest = -FLT_MAX;
  float exponentials = 0;  ///< sum of e^(x - largest)
};

LATHE_DEVICE RowSums joined(const RowSums& a, const RowSums& b) {
  RowSums both;
  both.total = a.total + b.total;
  both.largest = fmaxf(a.largest, b.largest);
  both.exponentials = a.exponentials * expf(a.largest - both.largest) + b.exponentials * expf(b.largest - both.largest);
  return both;
}

template <typename T, int N>
struct CrossEntropyRow {
  T* logits;
  const int64_t* targets;
  float* loss;
  int64_t rows, vocabulary;
  CrossEntropy options;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    for (int64_t row = block.index(); row < rows; row += block.count()) {
      T* const in = logits + row * vocabulary;
      const int64_t target = targets[row];
      if (target < 0) {
        block.once([&] { loss[row] = 0; });
        if (options.gradient) clear(block, in);
        continue;
      }
      const float logit = wide(in[target]);
      const RowSums sums = block.join([&](int thread) { return sums_of(block, thread, in); },
                                      [](const RowSums& a, const RowSums& b) { return joined(a, b); });
      block.once([&] { loss[row] = loss_of(logit, sums); });
      if (options.gradient) write_gradient(block, in, target, logit, sums);
    }
  }

  template <typename B>
  LATHE_DEVICE void clear(const B& block, T* in) const {
    block.each([&](int thread) {
      for_packs<N>(block, thread, vocabulary, [&](int64_t i) { store<N>(in + i, [](int) { return 0.0F; }); });
    });
  }

  template <typename B>
  LATHE_DEVICE RowSums sums_of(const B& block, int thread, const T* in) const {
    RowSums mine;
    for_packs<N>(block, thread, vocabulary, [&](int64_t i) {
      const auto v = load<N>(in + i);
      RowSums pack;
      for (int lane = 0; lane < N; ++lane) pack.largest = fmaxf(pack.largest, v[lane]);
      for (int lane = 0; lane < N; ++lane) pack.exponentials += expf(v[lane] - pack.largest);
      if (options.label_smoothing != 0) {
        for (int lane = 0; lane < N; ++lane) pack.total += static_cast<double>(v[lane]);
      }
      mine = joined(mine, pack);
    });
    return mine;
  }

  /// (1 - eps) (log sum - x_target) + eps (log sum - mean x), both differences taken from the largest logit.
  LATHE_DEVICE float loss_of(float logit, const RowSums& sums) const {
    const double log_sum = log(static_cast<double>(sums.exponentials)), largest = static_cast<double>(sums.largest);
    const double eps = options.label_smoothing;
    const double of_target = log_sum + (largest - static_cast<double>(logit));
    if (eps == 0) return static_cast<float>(of_target);
    const double of_all = log_sum + (largest - sums.total / static_cast<double>(vocabulary));
    return static_cast<float>((1 - eps) * of_target + eps * of_all);
  }

  template <typename B>
  LATHE_DEVICE void write_gradient(const B& block, T* in, int64_t target, float logit, const RowSums& sums) const {
    const double scale = options.gradient_scale, sum = static_cast<double>(sums.exponentials);
    const double uniform = options.label_smoothing / static_cast<double>(vocabulary) * scale;
    const auto factor = static_cast<float>(scale / sum), smooth = static_cast<float>(uniform);
    // p - 1, in double: for p close to 1 it loses its digits in fp32.
    const double p = exp(static_cast<double>(logit) - static_cast<double>(sums.largest)) / sum;
    const auto of_target = static_cast<float>((p - (1 - options.label_smoothing)) * scale - uniform);
    block.each([&](int thread) {
      for_packs<N>(block, thread, vocabulary, [&](int64_t i) {
        const auto v = load<N>(in + i);
        store<N>(in + i, [&](int lane) {
          return i + lane == target ? of_target : expf(v[lane] - sums.largest) * factor - smooth;
        });
      });
    });
  }
};

}  // namespace

Status cross_entropy(Element type, void* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                     const CrossEntropy& options, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    T* const in = static_cast<T*>(logits);
    return with_pack<T>(
        [&](auto pack) {
          return launch<kThreads>(
              rows, stream, CrossEntropyRow<T, decltype(pack)::value>{in, targets, loss, rows, vocabulary, options});
        },
        vocabulary, in);
  });
}

}  // namespace lathe::kernels::cuda
