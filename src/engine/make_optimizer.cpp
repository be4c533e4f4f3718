#include "engine/make_optimizer.h"

#include "engine/adamw.h"

namespace lathe {

std::unique_ptr<Optimizer> make_optimizer(const TrainingArguments& args, std::vector<TrainableParameter>& parameters) {
  const AdamWOptions options{args.adam_beta1, args.adam_beta2, args.adam_epsilon, args.weight_decay, args.seed};
  return std::make_unique<AdamW>(parameters, options);
}

}  // namespace lathe
