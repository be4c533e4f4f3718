#pragma once
// How much memory a run takes, by class: one place whose arithmetic both sizes buffers and is printed beforehand.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/memory_ledger.h"
#include "config/model_shape.h"
#include "config/training_arguments.h"

namespace lathe {

/// Rows laid end to end.
struct BatchShape {
  int64_t tokens = 0, longest_row = 0, targets = 0;
};

/// What the plan needs to know of the data.
struct LoadShape {
  BatchShape train;  ///< the largest micro-batch
  BatchShape eval;   ///< the largest evaluation batch, of which nothing is kept for backward; no tokens: none
};

/// One named part of the plan.
struct PlanTerm {
  MemoryClass memory_class = MemoryClass::kWorkspace;
  std::string name;
  int64_t bytes = 0;
};

struct MemoryPlan {
  std::array<int64_t, kNumMemoryClasses> bytes{};
  int64_t mapped_bytes = 0;     ///< of the weights: those read in place from their files
  std::vector<PlanTerm> terms;  ///< what bytes is the sum of
  [[nodiscard]] int64_t total() const;
};

/// The type a run computes in: bf16, fp32, or fp16 where strict_precision asks for it.
[[nodiscard]] DType compute_dtype(const TrainingArguments& args);
/// Bytes of the decoder layers' linear weights as use_qlora holds them: codes, scales, and the scales' scales.
[[nodiscard]] int64_t quantized_bytes(const ModelShape& shape, const TrainingArguments& args);
/// Elements that train: the adapter's with the copies of modules_to_save, or all of the model's.
[[nodiscard]] int64_t trainable_parameters(const ModelShape& shape, const TrainingArguments& args);
/// Supervised tokens whose logits the head holds at once (ModelOptions::loss_chunk_tokens): fewer where an adapter
/// trains and memory counts more than time, for there they are the largest thing alive.
[[nodiscard]] int64_t loss_chunk_tokens(const TrainingArguments& args);
/// The largest batches that the settings allow, before any row is known.
[[nodiscard]] LoadShape nominal_load(const TrainingArguments& args);

[[nodiscard]] MemoryPlan plan_memory(const ModelShape& shape, const TrainingArguments& args, const LoadShape& load,
                                     DType compute_dtype, int64_t trainable_parameters);
[[nodiscard]] std::string describe(const MemoryPlan& plan, int64_t available_bytes);
/// Bytes of one checkpoint on disk, which is no less than a final save.
[[nodiscard]] int64_t checkpoint_bytes(const ModelShape& shape, const TrainingArguments& args,
                                       int64_t trainable_parameters);

}  // namespace lathe
