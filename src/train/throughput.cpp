#include "train/throughput.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "ops/device.h"
#include "ops/product.h"
#include "train/clock.h"

namespace lathe {

double measure_matmul_flops(at::ScalarType dtype, at::Device device) {
  const int64_t size = device.is_cpu() ? 768 : 8192;  // large enough to fill the machine
  constexpr double kBudget_s = 0.05;
  const auto cube = static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size);
  // On the CPU memory that no ledger counts: the matrices are none of the run's.
  const size_t bytes = static_cast<size_t>(size * size) * sizeof(float);
  constexpr size_t kAlignment = 64;
  const std::unique_ptr<void, decltype(&std::free)> memory(
      device.is_cpu() ? std::aligned_alloc(kAlignment, 3 * bytes) : nullptr, &std::free);
  if (device.is_cpu() && memory == nullptr) return 0;
  const auto options = at::dtype(dtype).device(device);
  const auto matrix = [&](size_t i) {
    if (!device.is_cpu()) return at::empty({size, size}, options);
    return at::from_blob(static_cast<char*>(memory.get()) + i * bytes, {size, size}, options);
  };
  const at::Tensor a = matrix(0).fill_(1), b = matrix(1).fill_(1);
  at::Tensor product = matrix(2);
  ops::synchronize(device);
  double best = 0;
  const double start = now_s();
  // The first product pays for threads and packing; at least one more is measured.
  for (int i = 0; i < 2 || now_s() - start < kBudget_s; ++i) {
    const double before = now_s();
    ops::product_into(product, a, b, false);
    ops::synchronize(device);
    const double seconds = now_s() - before;
    if (i > 0) best = std::max(best, 2.0 * cube / seconds);
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
