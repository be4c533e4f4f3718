#include "config/trained_tensors.h"

namespace lathe {
namespace {

void add_adapters(std::vector<TrainedTensor>& all, const ModelShape& shape, const TrainingArguments& args) {
  for (const LinearModule& module : modules_with_adapters(shape, args)) {
    all.push_back({TrainedKind::kAdapter, args.lora_r * module.in, args.lora_r});
    all.push_back({TrainedKind::kAdapter, module.out * args.lora_r, module.out});
    if (args.use_dora) all.push_back({TrainedKind::kMagnitude, module.out});
  }
}

}  // namespace

ModulesToSave modules_to_save(const TrainingArguments& args) {
  return {.names = args.modules_to_save, .ensure_weight_tying = args.ensure_weight_tying};
}

std::vector<LinearModule> modules_with_adapters(const ModelShape& shape, const TrainingArguments& args) {
  return adapted_modules(shape, args.lora_target_modules.value_or("all-linear"), modules_to_save(args));
}

std::vector<TrainedTensor> trained_tensors(const ModelShape& shape, const TrainingArguments& args) {
  std::vector<TrainedTensor> all;
  if (args.use_lora) add_adapters(all, shape, args);
  for (const ModelParameter& one :
       args.use_lora ? copied_parameters(modules_to_save(args), shape) : model_parameters(shape)) {
    all.push_back({one.module == kTableModule ? TrainedKind::kEmbedding : TrainedKind::kModel, one.elements, one.rows});
  }
  return all;
}

}  // namespace lathe
