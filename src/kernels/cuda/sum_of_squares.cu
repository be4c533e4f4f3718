// kernels/sum_of_squares.h on a GPU: at most kSumParts blocks leave a sum each, one more block adds those.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kPacksAThread = 4;

template <typename T, int N>
struct SquareParts {
  const T* values;
  int64_t count;
  double* parts;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    const double sum = sum_over(block, [&](int thread) {
      double mine = 0;
      for_packs_of_grid<N>(block, thread, count - count % N, [&](int64_t i) {
        const auto v = load<N>(values + i);
        for (int lane = 0; lane < N; ++lane) mine += static_cast<double>(v[lane]) * static_cast<double>(v[lane]);
      });
      const int64_t rest = count - count % N + thread;
      if (block.index() == block.count() - 1 && rest < count) {
        const auto v = static_cast<double>(wide(values[rest]));
        mine += v * v;
      }
      return mine;
    });
    block.once([&] { parts[block.index()] = sum; });
  }
};

struct SumOfParts {
  const double* parts;
  int64_t count;
  double* out;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    const double sum = sum_over(block, [&](int thread) {
      double mine = 0;
      for_packs<1>(block, thread, count, [&](int64_t i) { mine += parts[i]; });
      return mine;
    });
    block.once([&] { *out = sum; });
  }
};

}  // namespace

Status sum_of_squares(Element type, const void* values, int64_t count, double* parts, double* sum, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    const T* const from = static_cast<const T*>(values);
    return with_pack<T>(
        [&](auto pack) {
          constexpr int kPack = decltype(pack)::value;
          const int64_t blocks = std::min(kSumParts, blocks_for(count, kThreads * kPack * kPacksAThread));
          const Status status = launch<kThreads>(blocks, stream, SquareParts<T, kPack>{from, count, parts});
          return status != 0 ? status : launch<kThreads>(1, stream, SumOfParts{parts, blocks, sum});
        },
        0, from);
  });
}

}  // namespace lathe::kernels::cuda
