#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// Probabilities of query i of head h over the keys it sees. @param lse log Σ e^score
template <typename T>
std::vector<double> attention_row(const T* q, const T* k, const AttentionTask& task, int64_t i, int64_t h,
                                  double* lse = nullptr) {
  std::vector<double> p(static_cast<size_t>(task.num_keys - task.num_queries + i + 1));
  double sum = 0, highest = -INFINITY;
  for (size_t j = 0; j < p.size(); ++j) {
    for (int64_t d = 0; d < task.head_dim; ++d) {
      p[j] +=
          wide(q[i * task.q_stride + h * task.head_dim + d]) * wide(k[static_cast<int64_t>(j) * task.kv_stride + d]);
    }
    p[j] /= std::sqrt(static_cast<double>(task.head_dim));
    highest = std::max(highest, p[j]);
  }
  for (double& one : p) sum += one = std::exp(one - highest);
  for (double& one : p) one /= sum;
  if (lse != nullptr) *lse = highest + std::log(sum);
  return p;
}

/// As kernels::attention.
template <typename T>
void attention(const AttentionInputs<T>& in, T* out, float* lse, const AttentionTask& task) {
  for (int64_t h = 0; h < task.group; ++h) {
    for (int64_t i = 0; i < task.num_queries; ++i) {
      double log_sum = 0;
      const std::vector<double> p = attention_row(in.q, in.k, task, i, h, &log_sum);
      lse[i * (task.q_stride / task.head_dim) + h] = static_cast<float>(log_sum);
      for (int64_t d = 0; d < task.head_dim; ++d) {
        double sum = 0;
        for (size_t j = 0; j < p.size(); ++j) sum += p[j] * wide(in.v[static_cast<int64_t>(j) * task.kv_stride + d]);
        out[i * task.q_stride + h * task.head_dim + d] = narrow<T>(sum);
      }
    }
  }
}

/// As kernels::attention_backward; reads nothing that forward left.
template <typename T>
void attention_backward(const AttentionInputs<T>& in, const T* dout, const AttentionGradientsOf<T>& out,
                        const AttentionTask& task) {
  const int64_t dim = task.head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(dim));
  std::vector<double> dk(static_cast<size_t>(task.num_keys * dim)), dv(dk);
  for (int64_t h = 0; h < task.group; ++h) {
    for (int64_t i = 0; i < task.num_queries; ++i) {
      const int64_t at = i * task.q_stride + h * dim;
      const std::vector<double> p = attention_row(in.q, in.k, task, i, h);
      std::vector<double> dp(p.size()), dq(static_cast<size_t>(dim));
      double along = 0;
      for (size_t j = 0; j < p.size(); ++j) {
        for (int64_t d = 0; d < dim; ++d) {
          const auto element = static_cast<size_t>(static_cast<int64_t>(j) * dim + d);
          dp[j] += wide(dout[at + d]) * wide(in.v[static_cast<int64_t>(j) * task.kv_stride + d]);
          dv[element] += p[j] * wide(dout[at + d]);
        }
        along += p[j] * dp[j];
      }
      for (size_t j = 0; j < p.size(); ++j) {
        const double ds = p[j] * (dp[j] - along) * scale;
        for (int64_t d = 0; d < dim; ++d) {
          dq[static_cast<size_t>(d)] += ds * wide(in.k[static_cast<int64_t>(j) * task.kv_stride + d]);
          dk[static_cast<size_t>(static_cast<int64_t>(j) * dim + d)] += ds * wide(in.q[at + d]);
        }
      }
      for (int64_t d = 0; d < dim; ++d) out.dq[at + d] = narrow<T>(dq[static_cast<size_t>(d)]);
    }
  }
  for (int64_t j = 0; j < task.num_keys; ++j) {
    for (int64_t d = 0; d < dim; ++d) {
      out.dk[j * task.kv_stride + d] = narrow<T>(dk[static_cast<size_t>(j * dim + d)]);
      out.dv[j * task.kv_stride + d] = narrow<T>(dv[static_cast<size_t>(j * dim + d)]);
    }
  }
}

}  // namespace lathe::kernels::reference
