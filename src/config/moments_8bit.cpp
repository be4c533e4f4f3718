#include "config/moments_8bit.h"

#include "config/target_modules.h"

namespace lathe {
namespace {

constexpr int64_t kBlock = 256;  // kernels/adamw_8bit.h

/// Of one parameter that is no embedding.
int64_t bytes_of(int64_t elements) {
  if (elements < kMin8bitElements) return 4 * elements;
  return elements + 4 * ((elements + kBlock - 1) / kBlock);
}

int64_t adapter_bytes(const ModelShape& shape, const TrainingArguments& args) {
  int64_t bytes = 0;
  for (const LinearModule& module : adapted_modules(shape, args.lora_target_modules.value_or("all-linear"))) {
    bytes += bytes_of(args.lora_r * module.in) + bytes_of(args.lora_r * module.out);
  }
  return bytes;
}

int64_t layer_bytes(const ModelShape& shape) {
  int64_t bytes = 2 * bytes_of(shape.hidden_size);
  for (const LinearModule& module : linear_modules(shape, 0)) bytes += bytes_of(module.in * module.out);
  if (shape.qkv_bias) {
    bytes += bytes_of(shape.num_heads * shape.head_dim) + 2 * bytes_of(shape.num_kv_heads * shape.head_dim);
  }
  if (shape.o_bias) bytes += bytes_of(shape.hidden_size);
  if (shape.qk_norm) bytes += 2 * bytes_of(shape.head_dim);
  return bytes;
}

}  // namespace

int64_t moment_8bit_bytes(const ModelShape& shape, const TrainingArguments& args) {
  if (args.use_lora) return adapter_bytes(shape, args);
  const int64_t embedding = shape.vocab_size * shape.hidden_size;
  const int64_t head = shape.tie_word_embeddings ? 0 : bytes_of(embedding);
  return 4 * embedding + head + shape.num_layers * layer_bytes(shape) + bytes_of(shape.hidden_size);
}

}  // namespace lathe
