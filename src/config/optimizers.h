#pragma once
// The optimizers: the names that `optim` takes, what optim_args says to each, and why every other name is refused.
#include <cstdint>
#include <string_view>
#include <vector>

#include "config/training_arguments.h"

namespace lathe {

/// kAdam has weight decay in the gradient; only a DeepSpeed block asks for it.
enum class OptimizerKind : uint8_t {
  kAdamW,
  kAdamW8bit,
  kAdam,
  kSgd,
  kAdagrad,
  kRmsprop,
  kAdafactor,
  kLion,
  kLion8bit,
  kAdEMAMix,
};

/// One optimizer with what it takes beside the learning rate and weight decay, each field read by those named.
struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double beta1 = 0.9, beta2 = 0.999;   ///< AdamW, Adam, Lion, AdEMAMix
  double epsilon = 1e-8;               ///< AdamW, Adam, Adagrad, RMSprop, AdEMAMix
  double momentum = 0, dampening = 0;  ///< SGD; momentum: RMSprop too
  double alpha = 0.99;                 ///< RMSprop: decay of the gradient's square; AdEMAMix: weight of the slow mean
  double lr_decay = 0;                 ///< Adagrad
  double beta3 = 0.9999;               ///< AdEMAMix: decay of the slow mean
  double t_alpha = 0, t_beta3 = 0;     ///< AdEMAMix: updates until alpha and beta3 are reached; 0: from the start
  bool nesterov = false;               ///< SGD
  bool centered = false;               ///< RMSprop
};

/// What `optim` and optim_args ("key=value, key=value", read as transformers reads it) come to; defaults are torch's.
/// @throws Error(kConfig) naming what optim_args holds and the optimizer does not take.
[[nodiscard]] OptimizerSettings optimizer_settings(const TrainingArguments& args);

/// The names that `optim` takes.
[[nodiscard]] const std::vector<const char*>& optimizer_names();
/// What stands nearest to a name that transformers has and `optim` does not take; nullptr: not transformers' either.
[[nodiscard]] const char* foreign_optimizer_advice(std::string_view name);

/// Whether the update is AdamW's with fp32 moments, or Adam's where a DeepSpeed block asks for that. False for names
/// that `optim` does not take, as below.
[[nodiscard]] bool is_adamw(const TrainingArguments& args);
/// Whether the optimizer reads adam_beta1 and adam_beta2; whether it reads adam_epsilon.
[[nodiscard]] bool reads_adam_betas(const TrainingArguments& args);
[[nodiscard]] bool reads_adam_epsilon(const TrainingArguments& args);

/// Whether B has a learning rate of its own.
[[nodiscard]] bool uses_loraplus(const TrainingArguments& args);

/// Paged optimizers move their state between a GPU's memory and the CPU's.
[[nodiscard]] bool is_paged(const TrainingArguments& args);

}  // namespace lathe
