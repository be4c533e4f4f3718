#include "train/throughput.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "train/clock.h"

namespace lathe {

double measure_matmul_flops(at::ScalarType dtype) {
  constexpr int64_t kSize = 768;
  constexpr double kBudget_s = 0.05;
  const at::Tensor a = at::ones({kSize, kSize}, dtype), b = at::ones({kSize, kSize}, dtype);
  at::Tensor product = at::empty({kSize, kSize}, dtype);
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
