// kernels/rms_norm.h on a GPU: a block takes a row; the weight's gradient is summed over parts of the rows first.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/pack.h"

namespace lathe::kernels::cuda {
namespace {

constexpr int kRowThreads = 256, kColumnThreads = 128;
constexpr int64_t kRowsAPart = 16, kMaxParts = 256;

int64_t parts_of(int64_t rows) {
  return std::min(kMaxParts, blocks_for(rows, kRowsAPart));
}

template <typename T, int N>
struct RmsNorm {
  const T *x, *weight;
  T* y;
  float* rstd;
  int64_t rows, width;
  float epsilon;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    for (int64_t row = block.index(); row < rows; row += block.count()) {
      const T* const in = x + row * width;
      T* const out = y + row * width;
      const float squares = sum_over(block, [&](int thread) {
        float sum = 0;
        for_packs<N>(block, thread, width, [&](int64_t i) {
          const auto v = load<N>(in + i);
          for (int lane = 0; lane < N; ++lane) sum += v[lane] * v[lane];
        });
        return sum;
      });
      const float scale = 1.0F / sqrtf(squares / static_cast<float>(width) + epsilon);
      block.once([&] {
        if (rstd != nullptr) rstd[row] = scale;
      });
      block.each([&](int thread) {
        for_packs<N>(block, thread, width, [&](int64_t i) {
          const auto v = load<N>(in + i), w = load<N>(weight + i);
          store<N>(out + i, [&](int lane) { return round_to<T>(v[lane] * scale) * w[lane]; });
        });
      });
    }
  }
};

template <typename T, int N>
struct RmsNormInputGradient {
  const T *dy, *x, *weight;
  const float* rstd;
  T* dx;
  int64_t rows, width;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    for (int64_t row = block.index(); row < rows; row += block.count()) {
      const int64_t at = row * width;
      const float scale = rstd[row];
      const float along = sum_over(block, [&](int thread) {
        float sum = 0;
        for_packs<N>(block, thread, width, [&](int64_t i) {
          const auto d = load<N>(dy + at + i), v = load<N>(x + at + i), w = load<N>(weight + i);
          for (int lane = 0; lane < N; ++lane) sum += round_to<T>(d[lane] * w[lane]) * (v[lane] * scale);
        });
        return sum;
      });
      const float mean = along / static_cast<float>(width);
      block.each([&](int thread) {
        for_packs<N>(block, thread, width, [&](int64_t i) {
          const auto d = load<N>(dy + at + i), v = load<N>(x + at + i), w = load<N>(weight + i);
          store<N>(dx + at + i,
                   [&](int lane) { return (round_to<T>(d[lane] * w[lane]) - v[lane] * scale * mean) * scale; });
        });
      });
    }
  }
};

/// A block takes a stripe of columns and every `parts`-th row: parts[part][column] = its sum.
template <typename T, int N>
struct RmsNormWeightParts {
  const T *dy, *x;
  const float* rstd;
  float* sums;
  int64_t rows, width, parts;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    const int64_t stripe = static_cast<int64_t>(B::threads()) * N, stripes = (width + stripe - 1) / stripe;
    for (int64_t task = block.index(); task < parts * stripes; task += block.count()) {
      const int64_t part = task / stripes;
      block.each([&](int thread) {
        const int64_t column = task % stripes * stripe + static_cast<int64_t>(thread) * N;
        if (column >= width) return;
        Pack<N> sum{};
        for (int64_t row = part; row < rows; row += parts) {
          const auto d = load<N>(dy + row * width + column), v = load<N>(x + row * width + column);
          const float scale = rstd[row];
          for (int lane = 0; lane < N; ++lane) sum.values[lane] += d[lane] * round_to<T>(v[lane] * scale);
        }
        store<N>(sums + part * width + column, [&](int lane) { return sum[lane]; });
      });
    }
  }
};

struct RmsNormWeightSum {
  const float* sums;
  float* dweight;
  int64_t width, parts;

  template <typename B>
  LATHE_DEVICE void operator()(const B& block) const {
    block.each([&](int thread) {
      for_packs_of_grid<1>(block, thread, width, [&](int64_t column) {
        float sum = 0;
        for (int64_t part = 0; part < parts; ++part) sum += sums[part * width + column];
        dweight[column] += sum;
      });
    });
  }
};

template <typename T>
Status weight_gradient(const T* dy, const T* x, const float* rstd, float* dweight, float* sums, int64_t rows,
                       int64_t width, Stream stream) {
  const int64_t parts = parts_of(rows);
  const Status status = with_pack<T>(
      [&](auto pack) {
        constexpr int kPack = decltype(pack)::value;
        return launch<kColumnThreads>(parts * blocks_for(width, kColumnThreads * kPack), stream,
                                      RmsNormWeightParts<T, kPack>{dy, x, rstd, sums, rows, width, parts});
      },
      width, dy, x, sums);
  if (status != 0) return status;
  return launch<kColumnThreads>(blocks_for(width, kColumnThreads), stream,
                                RmsNormWeightSum{sums, dweight, width, parts});
}

template <typename T>
Status input_gradient(const T* dy, const T* x, const T* weight, const float* rstd, T* dx, int64_t rows, int64_t width,
                      Stream stream) {
  return with_pack<T>(
      [&](auto pack) {
        return launch<kRowThreads>(
            rows, stream, RmsNormInputGradient<T, decltype(pack)::value>{dy, x, weight, rstd, dx, rows, width});
      },
      width, dy, x, weight, dx);
}

}  // namespace

Status rms_norm(Element type, const void* x, const void* weight, void* y, float* rstd, int64_t rows, int64_t width,
                float epsilon, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    return with_pack<T>(
        [&](auto pack) {
          return launch<kRowThreads>(
              rows, stream,
              RmsNorm<T, decltype(pack)::value>{static_cast<const T*>(x), static_cast<const T*>(weight),
                                                static_cast<T*>(y), rstd, rows, width, epsilon});
        },
        width, static_cast<const T*>(x), static_cast<const T*>(weight), static_cast<const T*>(y));
  });
}

int64_t rms_norm_workspace(int64_t rows, int64_t width) {
  return parts_of(rows) * width;
}

Status rms_norm_backward(Element type, const void* dy, const void* x, const void* weight, const float* rstd, void* dx,
                         float* dweight, float* workspace, int64_t rows, int64_t width, Stream stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    const T *from = static_cast<const T*>(dy), *in = static_cast<const T*>(x);
    // Before dx, which may be dy.
    if (dweight != nullptr) {
      const Status status = weight_gradient(from, in, rstd, dweight, workspace, rows, width, stream);
      if (status != 0) return status;
    }
    if (dx == nullptr) return Status{0};
    return input_gradient(from, in, static_cast<const T*>(weight), rstd, static_cast<T*>(dx), rows, width, stream);
  });
}

}  // namespace lathe::kernels::cuda
