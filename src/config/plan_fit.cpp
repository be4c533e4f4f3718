#include "config/plan_fit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace lathe {
namespace {

/// Of the batches of a run: what may become smaller without another result, and what costs time.
struct Change {
  int64_t train_rows = 0, eval_rows = 0;
  const char* recomputed = "";  ///< gradient_checkpointing_scope; "": as it is set
};

/// The same rows in batches of `rows` where they are `of` now.
BatchShape in_batches_of(const BatchShape& batch, int64_t rows, int64_t of) {
  BatchShape smaller = batch;
  smaller.tokens = std::max(batch.longest_row, batch.tokens / (of / rows));
  smaller.targets = std::min(batch.targets, smaller.tokens);
  return smaller;
}

std::string words_of(const Change& change, const TrainingArguments& args) {
  std::vector<std::string> words;
  const int64_t parts = args.per_device_train_batch_size / change.train_rows;
  if (parts > 1) {
    words.push_back(fmt::format("per_device_train_batch_size {} with gradient_accumulation_steps {}", change.train_rows,
                                args.gradient_accumulation_steps * parts));
  }
  if (change.eval_rows < args.per_device_eval_batch_size) {
    words.push_back(fmt::format("per_device_eval_batch_size {}", change.eval_rows));
  }
  if (*change.recomputed != 0) {
    words.push_back(
        fmt::format("gradient_checkpointing true and gradient_checkpointing_scope \"{}\"", change.recomputed));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

class Search {
 public:
  Search(const ModelShape& shape, const TrainingArguments& args, const LoadShape& load, DType compute,
         int64_t trainable, int64_t available)
      : shape_(shape), args_(args), load_(load), compute_(compute), trainable_(trainable), available_(available) {}

  /// The first change that is enough, with what it takes; nullopt: none is.
  [[nodiscard]] std::optional<std::string> remedy() const {
    for (const char* scope : {"", "mlp", "layer"}) {
      for (int64_t train = args_.per_device_train_batch_size; train >= 1; train /= 2) {
        for (int64_t eval = args_.per_device_eval_batch_size; eval >= 1; eval /= 2) {
          const Change change{train, eval, scope};
          const int64_t bytes = bytes_with(change);
          if (bytes <= available_) return fmt::format("{} takes {}", words_of(change, args_), format_bytes(bytes));
          if (load_.eval.tokens == 0) break;
        }
      }
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] int64_t bytes_with(const Change& change) const {
    TrainingArguments args = args_;
    if (*change.recomputed != 0) {
      args.gradient_checkpointing = true, args.gradient_checkpointing_scope = change.recomputed;
    }
    const LoadShape load{in_batches_of(load_.train, change.train_rows, args_.per_device_train_batch_size),
                         in_batches_of(load_.eval, change.eval_rows, args_.per_device_eval_batch_size)};
    return plan_memory(shape_, args, load, compute_, trainable_).total();
  }

  const ModelShape& shape_;
  const TrainingArguments& args_;
  const LoadShape& load_;
  DType compute_;
  int64_t trainable_, available_;
};

}  // namespace

void require_memory(const ModelShape& shape, const TrainingArguments& args, const LoadShape& load, DType compute,
                    int64_t trainable, int64_t available_bytes) {
  const MemoryPlan plan = plan_memory(shape, args, load, compute, trainable);
  if (plan.total() <= available_bytes) return;
  const auto remedy = Search(shape, args, load, compute, trainable, available_bytes).remedy();
  const int64_t state = plan.total() - plan.bytes[static_cast<size_t>(MemoryClass::kActivations)];
  throw Error(ErrorKind::kMemory,
              fmt::format("the run does not fit in memory: it needs {}, {} is available", format_bytes(plan.total()),
                          format_bytes(available_bytes)),
              {},
              remedy ? *remedy
                     : fmt::format("weights and optimizer alone take {}: use a smaller model, use_lora, or a smaller "
                                   "max_seq_length",
                                   format_bytes(state)));
}

}  // namespace lathe
