#include "ops/adafactor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/dtype.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

constexpr int64_t kColumnsATask = 256;  // a kilobyte of each row

double wide(float value) {
  return value;
}
double wide(kernels::Bf16 bits) {
  return bf16_to_float(bits);
}

/// value ← beta2 · value + (1 - beta2) · square
void decay_into(float& value, double square, double beta2) {
  value = static_cast<float>(beta2 * value + (1 - beta2) * square);
}

/// The mean of a matrix's squares (and epsilon) in each row and in each column.
template <typename T>
void collect_squares(const T* g, int64_t num_rows, int64_t num_columns, const AdafactorStep& step, float* rows,
                     float* columns) {
  const auto square = [&](T value) {
    const double scaled = wide(value) * step.gradient_scale;
    return scaled * scaled + step.epsilon;
  };
  const int64_t rows_a_task = std::max<int64_t>(1, kElementsATask / num_columns);
  at::parallel_for(0, num_rows, rows_a_task, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      double sum = 0;
      for (int64_t c = 0; c < num_columns; ++c) sum += square(g[r * num_columns + c]);
      decay_into(rows[r], sum / static_cast<double>(num_columns), step.beta2);
    }
  });
  const int64_t tasks = (num_columns + kColumnsATask - 1) / kColumnsATask;
  at::parallel_for(0, tasks, 1, [&](int64_t first, int64_t last) {
    for (int64_t task = first; task < last; ++task) {
      const int64_t begin = task * kColumnsATask, count = std::min(kColumnsATask, num_columns - begin);
      double sums[kColumnsATask] = {};
      for (int64_t r = 0; r < num_rows; ++r) {
        const T* row = g + r * num_columns + begin;
        for (int64_t c = 0; c < count; ++c) sums[c] += square(row[c]);
      }
      for (int64_t c = 0; c < count; ++c) {
        decay_into(columns[begin + c], sums[c] / static_cast<double>(num_rows), step.beta2);
      }
    }
  });
}

/// 1 / sqrt(value / mean) of each.
std::vector<float> inverse_roots(const float* values, int64_t count, double mean) {
  std::vector<float> roots(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    roots[static_cast<size_t>(i)] = static_cast<float>(1 / std::sqrt(values[i] / mean));
  return roots;
}

/// The sum of squares of gradients times the factors of their row and column.
template <typename T>
double squares_of_update(const T* g, const std::vector<float>& rows, const std::vector<float>& columns, double scale) {
  const auto num_rows = static_cast<int64_t>(rows.size()), num_columns = static_cast<int64_t>(columns.size());
  std::vector<double> sums(rows.size());
  const int64_t rows_a_task = std::max<int64_t>(1, kElementsATask / num_columns);
  at::parallel_for(0, num_rows, rows_a_task, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const auto at = static_cast<size_t>(r);
      for (size_t c = 0; c < columns.size(); ++c) {
        const double update = wide(g[r * num_columns + static_cast<int64_t>(c)]) * scale * rows[at] * columns[c];
        sums[at] += update * update;
      }
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// What a gradient times its factors is multiplied by: the rate, less where the update is longer than the threshold.
float rate_of(double sum_of_squares, int64_t count, const AdafactorStep& step) {
  const double root_mean = std::sqrt(sum_of_squares / static_cast<double>(count));
  return static_cast<float>(step.learning_rate / std::max(1.0, root_mean / step.clip_threshold));
}

}  // namespace

void adafactor_matrix(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& rows,
                      const at::Tensor& columns, const AdafactorStep& step) {
  const int64_t num_rows = gradient.size(0), num_columns = gradient.size(1);
  LATHE_ASSERT(gradient.is_contiguous() && rows.numel() == num_rows && columns.numel() == num_columns);
  const ProfileScope profiled(ProfileKind::kOp, "adafactor");
  float* row = mutable_elements<float>(rows);
  float* column = mutable_elements<float>(columns);
  std::vector<float> by_row, by_column;
  float rate = 0;
  with_elements(gradient, [&](auto element) {
    const auto* g = elements<decltype(element)>(gradient);
    collect_squares(g, num_rows, num_columns, step, row, column);
    const double mean = std::accumulate(row, row + num_rows, 0.0) / static_cast<double>(num_rows);
    by_row = inverse_roots(row, num_rows, mean);
    by_column = inverse_roots(column, num_columns, 1);
    rate = rate_of(squares_of_update(g, by_row, by_column, step.gradient_scale), gradient.numel(), step);
  });
  const auto kept = static_cast<float>(1 - step.learning_rate * step.weight_decay);
  update_in_pieces(master, gradient, step.gradient_scale, [&](const UpdatePiece& piece) {
    int64_t r = piece.begin / num_columns, c = piece.begin % num_columns;
    for (int64_t i = 0; i < piece.count; ++i) {
      const float update = by_row[static_cast<size_t>(r)] * by_column[static_cast<size_t>(c)] * piece.gradient[i];
      piece.weight[i] = piece.weight[i] * kept - rate * update;
      if (++c == num_columns) c = 0, ++r;
    }
  });
}

void adafactor_vector(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& squares,
                      const AdafactorStep& step) {
  const int64_t count = gradient.numel();
  LATHE_ASSERT(gradient.is_contiguous() && squares.is_contiguous() && squares.numel() == count);
  const ProfileScope profiled(ProfileKind::kOp, "adafactor");
  float* square = mutable_elements<float>(squares);
  double sum = 0;
  with_elements(gradient, [&](auto element) {
    const auto* g = elements<decltype(element)>(gradient);
    for (int64_t i = 0; i < count; ++i) {
      const double scaled = wide(g[i]) * step.gradient_scale;
      decay_into(square[i], scaled * scaled + step.epsilon, step.beta2);
      sum += scaled * scaled / square[i];
    }
  });
  const float rate = rate_of(sum, count, step), kept = static_cast<float>(1 - step.learning_rate * step.weight_decay);
  update_in_pieces(master, gradient, step.gradient_scale, [&](const UpdatePiece& piece) {
    for (int64_t i = 0; i < piece.count; ++i) {
      const float update = piece.gradient[i] / std::sqrt(square[piece.begin + i]);
      piece.weight[i] = piece.weight[i] * kept - rate * update;
    }
  });
}

}  // namespace lathe::ops
