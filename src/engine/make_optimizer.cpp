#include "engine/make_optimizer.h"

#include <lathe/error.h>

#include "config/optimizers.h"
#include "engine/adafactor.h"
#include "engine/adagrad.h"
#include "engine/adam.h"
#include "engine/adamw.h"
#include "engine/adamw_8bit.h"
#include "engine/ademamix.h"
#include "engine/lion.h"
#include "engine/lion_8bit.h"
#include "engine/rmsprop.h"
#include "engine/sgd.h"

namespace lathe {
namespace {

/// LoRA+ as peft groups it (create_loraplus_optimizer): B, and what is a vector, at a rate of its own; decay on all but
/// biases, for the norms that it leaves out are torch's LayerNorm alone.
void set_rates(double ratio, std::vector<TrainableParameter>& parameters) {
  for (TrainableParameter& parameter : parameters) {
    const bool faster = parameter.id.part == Part::kLoraB || parameter.master.weight.dim() == 1;
    parameter.rate = faster ? ratio : 1;
    parameter.decay = parameter.id.part != Part::kBias;
  }
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const TrainingArguments& args, std::vector<TrainableParameter>& parameters) {
  const OptimizerSettings settings = optimizer_settings(args);
  const bool loraplus = uses_loraplus(args);
  const double decay = loraplus ? args.loraplus_weight_decay : args.weight_decay;
  if (loraplus) set_rates(args.loraplus_lr_ratio, parameters);
  const AdamWOptions adam{settings.beta1, settings.beta2, settings.epsilon, decay, args.seed};
  switch (settings.kind) {
    case OptimizerKind::kAdamW:
      return std::make_unique<AdamW>(parameters, adam);
    case OptimizerKind::kAdamW8bit:
      return std::make_unique<AdamW8bit>(parameters, adam);
    case OptimizerKind::kAdam:
      return std::make_unique<Adam>(parameters, adam);
    case OptimizerKind::kSgd:
      return std::make_unique<Sgd>(parameters,
                                   SgdOptions{settings.momentum, settings.dampening, decay, settings.nesterov});
    case OptimizerKind::kAdagrad:
      return std::make_unique<Adagrad>(parameters, AdagradOptions{settings.lr_decay, settings.epsilon, decay});
    case OptimizerKind::kRmsprop:
      return std::make_unique<Rmsprop>(
          parameters, RmspropOptions{settings.alpha, settings.epsilon, settings.momentum, decay, settings.centered});
    case OptimizerKind::kAdafactor:
      return std::make_unique<Adafactor>(parameters, decay);
    case OptimizerKind::kLion:
      return std::make_unique<Lion>(parameters, LionOptions{settings.beta1, settings.beta2, decay});
    case OptimizerKind::kAdEMAMix:
      return std::make_unique<AdEMAMix>(parameters, AdEMAMixOptions{.beta1 = settings.beta1,
                                                                    .beta2 = settings.beta2,
                                                                    .beta3 = settings.beta3,
                                                                    .alpha = settings.alpha,
                                                                    .epsilon = settings.epsilon,
                                                                    .weight_decay = decay,
                                                                    .t_alpha = settings.t_alpha,
                                                                    .t_beta3 = settings.t_beta3});
    case OptimizerKind::kLion8bit:
      return std::make_unique<Lion8bit>(parameters, LionOptions{settings.beta1, settings.beta2, decay});
  }
  LATHE_ASSERT(false);
}

}  // namespace lathe
