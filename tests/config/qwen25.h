#pragma once
// Qwen2.5-0.5B's shape and the settings of a bf16 LoRA run over it.
#include "config/model_shape.h"
#include "config/training_arguments.h"

namespace lathe {

inline ModelShape qwen25() {
  ModelShape shape;
  shape.vocab_size = 151936, shape.hidden_size = 896, shape.intermediate_size = 4864, shape.num_layers = 24;
  shape.num_heads = 14, shape.num_kv_heads = 2, shape.head_dim = 64;
  shape.tie_word_embeddings = shape.qkv_bias = true;
  shape.torch_dtype = DType::kBF16;
  return shape;
}

inline TrainingArguments lora() {
  TrainingArguments args;
  args.use_lora = args.bf16 = true;
  args.fp16 = false;
  return args;
}

}  // namespace lathe
