#include "ops/adafactor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/sum_of_squares.h"
#include "kernels/update_rules.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

constexpr int64_t kColumnsATask = 256;  // a kilobyte of each row

/// R × C gradients, fp32 or bf16, read as fp32 times a scale.
template <typename T>
struct Gradients {
  const T* values;
  int64_t num_rows, num_columns;
  float scale;

  void read(int64_t row, int64_t column, int64_t count, float* out) const {
    kernels::scale_gradient(values + row * num_columns + column, scale, out, count);
  }
  /// The sum of squares of each row, of its gradients times factors where they are given.
  [[nodiscard]] std::vector<double> squares_of_rows(const std::vector<float>& factors) const {
    std::vector<double> sums(static_cast<size_t>(num_rows));
    const int64_t rows_a_task = std::max<int64_t>(1, kElementsATask / num_columns);
    at::parallel_for(0, num_rows, rows_a_task, [&](int64_t first, int64_t last) {
      float piece[kUpdatePiece];
      for (int64_t r = first; r < last; ++r) {
        for (int64_t begin = 0; begin < num_columns; begin += kUpdatePiece) {
          const int64_t count = std::min(kUpdatePiece, num_columns - begin);
          read(r, begin, count, piece);
          if (!factors.empty()) kernels::multiply(piece, factors.data() + begin, count);
          sums[static_cast<size_t>(r)] += kernels::sum_of_squares(piece, count);
        }
      }
    });
    return sums;
  }
  [[nodiscard]] std::vector<double> squares_of_columns() const {
    std::vector<double> sums(static_cast<size_t>(num_columns));
    const int64_t tasks = (num_columns + kColumnsATask - 1) / kColumnsATask;
    at::parallel_for(0, tasks, 1, [&](int64_t first, int64_t last) {
      float piece[kColumnsATask];
      for (int64_t task = first; task < last; ++task) {
        const int64_t begin = task * kColumnsATask, count = std::min(kColumnsATask, num_columns - begin);
        for (int64_t r = 0; r < num_rows; ++r) {
          read(r, begin, count, piece);
          kernels::add_squares(piece, sums.data() + begin, count);
        }
      }
    });
    return sums;
  }
};

/// means ← beta2 · means + (1 - beta2) · (sums / count + epsilon)
void decay_into(const at::Tensor& means, const std::vector<double>& sums, int64_t count, const AdafactorStep& step) {
  float* mean = mutable_elements<float>(means);
  for (size_t i = 0; i < sums.size(); ++i) {
    const double square = sums[i] / static_cast<double>(count) + step.epsilon;
    mean[i] = static_cast<float>(step.beta2 * mean[i] + (1 - step.beta2) * square);
  }
}

/// 1 / sqrt(value / unit) of each.
std::vector<float> inverse_roots(const at::Tensor& values, double unit) {
  const float* value = elements<float>(values);
  std::vector<float> roots(static_cast<size_t>(values.numel()));
  for (size_t i = 0; i < roots.size(); ++i) roots[i] = static_cast<float>(1 / std::sqrt(value[i] / unit));
  return roots;
}

/// What a gradient times its factors is multiplied by: the rate, less where the update is longer than the threshold.
double rate_of(double sum_of_squares, int64_t count, const AdafactorStep& step) {
  const double root_mean = std::sqrt(sum_of_squares / static_cast<double>(count));
  return step.learning_rate / std::max(1.0, root_mean / step.clip_threshold);
}

}  // namespace

void adafactor_matrix(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& rows,
                      const at::Tensor& columns, const AdafactorStep& step) {
  const int64_t num_rows = gradient.size(0), num_columns = gradient.size(1);
  LATHE_ASSERT(gradient.is_contiguous() && rows.numel() == num_rows && columns.numel() == num_columns);
  const ProfileScope profiled(ProfileKind::kOp, "adafactor");
  std::vector<float> by_row, by_column;
  double sum = 0;
  with_gradients(gradient, [&](auto element) {
    using T = decltype(element);
    const Gradients<T> gradients{elements<T>(gradient), num_rows, num_columns, static_cast<float>(step.gradient_scale)};
    decay_into(rows, gradients.squares_of_rows({}), num_columns, step);
    decay_into(columns, gradients.squares_of_columns(), num_rows, step);
    const float* row = elements<float>(rows);
    by_row = inverse_roots(rows, std::accumulate(row, row + num_rows, 0.0) / static_cast<double>(num_rows));
    by_column = inverse_roots(columns, 1);
    const std::vector<double> squares = gradients.squares_of_rows(by_column);
    for (size_t r = 0; r < squares.size(); ++r) sum += squares[r] * by_row[r] * by_row[r];
  });
  const double rate = rate_of(sum, gradient.numel(), step);
  const auto kept = static_cast<float>(1 - step.learning_rate * step.weight_decay);
  update_in_pieces(master, gradient, step.gradient_scale, [&](const UpdatePiece& piece) {
    for (int64_t done = 0; done < piece.count;) {  // the parts of rows that the piece has
      const int64_t r = (piece.begin + done) / num_columns, c = (piece.begin + done) % num_columns;
      const int64_t count = std::min(piece.count - done, num_columns - c);
      kernels::scaled_step(piece.weight + done, piece.gradient + done, by_column.data() + c, count, kept,
                           static_cast<float>(rate * by_row[static_cast<size_t>(r)]));
      done += count;
    }
  });
}

void adafactor_vector(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& squares,
                      const AdafactorStep& step) {
  const int64_t count = gradient.numel();
  LATHE_ASSERT(gradient.is_contiguous() && squares.is_contiguous() && squares.numel() == count);
  const ProfileScope profiled(ProfileKind::kOp, "adafactor");
  std::vector<float> by_element;
  double sum = 0;
  with_gradients(gradient, [&](auto element) {
    using T = decltype(element);
    const Gradients<T> gradients{elements<T>(gradient), 1, count, static_cast<float>(step.gradient_scale)};
    decay_into(squares, gradients.squares_of_columns(), 1, step);
    by_element = inverse_roots(squares, 1);
    sum = gradients.squares_of_rows(by_element).front();
  });
  const auto rate = static_cast<float>(rate_of(sum, count, step));
  const auto kept = static_cast<float>(1 - step.learning_rate * step.weight_decay);
  update_in_pieces(master, gradient, step.gradient_scale, [&](const UpdatePiece& piece) {
    kernels::scaled_step(piece.weight, piece.gradient, by_element.data() + piece.begin, piece.count, kept, rate);
  });
}

}  // namespace lathe::ops
