#include "train/throughput.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "train/clock.h"

namespace lathe {

double measure_matmul_flops(at::ScalarType dtype) {
  constexpr int64_t kSize = 768;
  constexpr double kBudget_s = 0.05;
  // Memory that no ledger counts: the matrices are none of the run's.
  constexpr size_t kMatrix = size_t{kSize} * kSize * sizeof(float), kAlignment = 64;
  const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(kAlignment, 3 * kMatrix), &std::free);
  if (memory == nullptr) return 0;
  const auto matrix = [&](size_t i) {
    return at::from_blob(static_cast<char*>(memory.get()) + i * kMatrix, {kSize, kSize}, dtype);
  };
  const at::Tensor a = matrix(0).fill_(1), b = matrix(1).fill_(1);
  at::Tensor product = matrix(2);
  double best = 0;
  const double start = now_s();
  // The first product pays for threads and packing; at least one more is measured.
  for (int i = 0; i < 2 || now_s() - start < kBudget_s; ++i) {
    const double before = now_s();
    at::mm_out(product, a, b);
    const double seconds = now_s() - before;
    if (i > 0) best = std::max(best, 2.0 * kSize * kSize * kSize / seconds);
  }
  return best;
}

double flops_per_token(const ModelShape& shape, int64_t trainable_parameters, bool full_training, double row_length) {
  const auto embedding = static_cast<double>(shape.vocab_size * shape.hidden_size);
  // A tied embedding is the head's matrix too; an untied one is looked up, not multiplied.
  double products = static_cast<double>(shape.num_parameters());
  if (!shape.tie_word_embeddings) products -= embedding;
  const auto trained = static_cast<double>(trainable_parameters);
  const double weight_gradients = full_training ? products : trained;
  if (!full_training) products += trained;
  const auto heads = static_cast<double>(shape.num_layers * shape.num_heads * shape.head_dim);
  // Scores and their sum with values, causal: half of row_length on average, two products, forward and twice backward.
  const double attention = 3 * 2 * 2 * heads * row_length / 2;
  return 2 * (2 * products + weight_gradients) + attention;
}

}  // namespace lathe
