#pragma once
#include <algorithm>
#include <cmath>

#include "kernels/cross_entropy.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// As kernels::cross_entropy.
template <typename T>
void cross_entropy(T* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                   const CrossEntropy& options) {
  const double eps = options.label_smoothing, classes = static_cast<double>(vocabulary);
  for (int64_t row = 0; row < rows; ++row, logits += vocabulary) {
    loss[row] = 0;
    if (targets[row] < 0) {
      if (options.gradient) std::fill_n(logits, vocabulary, T{});
      continue;
    }
    double largest = wide(logits[0]), sum = 0, total = 0;
    for (int64_t i = 0; i < vocabulary; ++i) largest = std::max(largest, wide(logits[i]));
    for (int64_t i = 0; i < vocabulary; ++i) {
      sum += std::exp(wide(logits[i]) - largest);
      total += wide(logits[i]);
    }
    const double log_sum = std::log(sum) + largest;
    const double of_target = log_sum - wide(logits[targets[row]]);
    // Without smoothing a logit of -infinity elsewhere in the row counts nothing: 0 · infinity would be NaN.
    loss[row] = static_cast<float>(eps == 0 ? of_target : (1 - eps) * of_target + eps * (log_sum - total / classes));
    for (int64_t i = 0; options.gradient && i < vocabulary; ++i) {
      const double p = std::exp(wide(logits[i]) - log_sum);
      logits[i] = narrow<T>((p - eps / classes - (i == targets[row] ? 1 - eps : 0)) * options.gradient_scale);
    }
  }
}

}  // namespace lathe::kernels::reference
