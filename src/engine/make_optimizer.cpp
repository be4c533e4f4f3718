#include "engine/make_optimizer.h"

#include "config/moments_8bit.h"
#include "engine/adamw.h"
#include "engine/adamw_8bit.h"

namespace lathe {

std::unique_ptr<Optimizer> make_optimizer(const TrainingArguments& args, std::vector<TrainableParameter>& parameters) {
  const AdamWOptions options{args.adam_beta1, args.adam_beta2, args.adam_epsilon, args.weight_decay};
  if (has_8bit_moments(args)) return std::make_unique<AdamW8bit>(parameters, options);
  return std::make_unique<AdamW>(parameters, options);
}

}  // namespace lathe
