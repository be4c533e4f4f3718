#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/cross_entropy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

// Sums over the vocabulary are fp32 within a block and double across blocks, so that 150,000 terms do not drift.
constexpr int64_t kCrossEntropyBlock = 4096;

template <typename T>
T cross_entropy_lowest() {
  if constexpr (std::is_same_v<T, Bf16>) {
    return Bf16{0xff80};
  } else if constexpr (std::is_same_v<T, F16>) {
    return F16{0xfc00};
  } else {
    return -std::numeric_limits<float>::infinity();
  }
}

template <typename T>
float cross_entropy_max(const T* row, int64_t vocabulary) {
  const T lowest = cross_entropy_lowest<T>();
  V largest = hn::Set(D(), -std::numeric_limits<float>::infinity());
  for_each_vector(vocabulary, [&](int64_t i, auto part) HWY_ATTR {
    if constexpr (std::is_same_v<decltype(part), Part>) {
      largest = hn::Max(largest, load(row + i, part, lowest));
    } else {
      largest = hn::Max(largest, load(row + i, part));
    }
  });
  return hn::GetLane(hn::MaxOfLanes(D(), largest));
}

template <typename T>
double cross_entropy_exp_sum(const T* row, int64_t vocabulary, float largest) {
  const T lowest = cross_entropy_lowest<T>();
  const V shift = hn::Set(D(), largest);
  double sum = 0;
  for (int64_t start = 0; start < vocabulary; start += kCrossEntropyBlock) {
    const T* const block = row + start;
    sum += static_cast<double>(
        sum_of(std::min(kCrossEntropyBlock, vocabulary - start), [&](int64_t i, auto part) HWY_ATTR {
          if constexpr (std::is_same_v<decltype(part), Part>) {
            return exp(hn::Sub(load(block + i, part, lowest), shift));
          } else {
            return exp(hn::Sub(load(block + i, part), shift));
          }
        }));
  }
  return sum;
}

/// Mean over the row of (largest - x).
template <typename T>
double cross_entropy_mean_below(const T* row, int64_t vocabulary, float largest) {
  double sum = 0;
  for (int64_t start = 0; start < vocabulary; start += kCrossEntropyBlock) {
    sum += static_cast<double>(sum_of(std::min(kCrossEntropyBlock, vocabulary - start),
                                      [&](int64_t i, auto part) HWY_ATTR { return load(row + start + i, part); }));
  }
  return static_cast<double>(largest) - sum / static_cast<double>(vocabulary);
}

template <typename T>
void cross_entropy_gradient(T* row, int64_t target, int64_t vocabulary, float largest, double sum,
                            const CrossEntropy& options) {
  const double scale = options.gradient_scale;
  const double uniform = options.label_smoothing / static_cast<double>(vocabulary) * scale;
  const V shift = hn::Set(D(), largest);
  const V factor = hn::Set(D(), static_cast<float>(scale / sum));
  const V smooth = hn::Set(D(), static_cast<float>(uniform));
  const V logit = load(row + target, Part{1});
  for_each_vector(vocabulary, [&](int64_t i, auto part) HWY_ATTR {
    store(hn::MulSub(exp(hn::Sub(load(row + i, part), shift)), factor, smooth), row + i, part);
  });
  // The target's entry is p - 1: worked out in double, for p close to 1 loses all digits in fp32 and bf16.
  const double p = std::exp(static_cast<double>(hn::GetLane(logit)) - static_cast<double>(largest)) / sum;
  const double value = (p - (1 - options.label_smoothing)) * scale - uniform;
  store(hn::Set(D(), static_cast<float>(value)), row + target, Part{1});
}

template <typename T>
void cross_entropy_rows(T* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                        const CrossEntropy& options) {
  for (int64_t n = 0; n < rows; ++n, logits += vocabulary) {
    const int64_t target = targets[n];
    if (target < 0) {
      loss[n] = 0;
      if (options.gradient) std::fill_n(logits, vocabulary, T{});
      continue;
    }
    const float largest = cross_entropy_max(logits, vocabulary);
    const double sum = cross_entropy_exp_sum(logits, vocabulary, largest);
    const double below =
        static_cast<double>(largest) - static_cast<double>(hn::GetLane(load(logits + target, Part{1})));
    double value = std::log(sum) + below;
    if (options.label_smoothing != 0) {
      const double mean = std::log(sum) + cross_entropy_mean_below(logits, vocabulary, largest);
      value = (1 - options.label_smoothing) * value + options.label_smoothing * mean;
    }
    loss[n] = static_cast<float>(value);
    if (options.gradient) cross_entropy_gradient(logits, target, vocabulary, largest, sum, options);
  }
}

void cross_entropy_f32(float* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                       const CrossEntropy& options) {
  cross_entropy_rows(logits, targets, loss, rows, vocabulary, options);
}
void cross_entropy_bf16(Bf16* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                        const CrossEntropy& options) {
  cross_entropy_rows(logits, targets, loss, rows, vocabulary, options);
}
void cross_entropy_f16(F16* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                       const CrossEntropy& options) {
  cross_entropy_rows(logits, targets, loss, rows, vocabulary, options);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(cross_entropy_f32);
HWY_EXPORT(cross_entropy_bf16);
HWY_EXPORT(cross_entropy_f16);

void cross_entropy(float* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                   const CrossEntropy& options) {
  HWY_DYNAMIC_DISPATCH(cross_entropy_f32)(logits, targets, loss, rows, vocabulary, options);
}

void cross_entropy(Bf16* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                   const CrossEntropy& options) {
  HWY_DYNAMIC_DISPATCH(cross_entropy_bf16)(logits, targets, loss, rows, vocabulary, options);
}

void cross_entropy(F16* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                   const CrossEntropy& options) {
  HWY_DYNAMIC_DISPATCH(cross_entropy_f16)(logits, targets, loss, rows, vocabulary, options);
}

}  // namespace lathe::kernels
#endif
