#include "train/gpu_settings.h"

#include <fmt/format.h>
#include <lathe/error.h>

namespace lathe {

void check_gpu_settings(const TrainingArguments& args) {
  const auto refuse = [](const char* key, const std::string& what) {
    throw Error(ErrorKind::kConfig, what + " works on the CPU alone in this version",
                {.file = "", .line = 0, .key = key}, "train on the CPU with use_cpu=true, or change the setting");
  };
  if (args.fp16 && args.strict_precision) refuse("strict_precision", "fp16 itself");
  if (args.optim != "adamw_torch" && args.optim != "adamw_torch_fused") {
    refuse("optim", fmt::format("the optimizer '{}'", args.optim));
  }
  if (args.adam_decays_gradient) refuse("optimizer.params.adam_w_mode", "Adam with weight decay in the gradient");
  if (args.bf16_stochastic_rounding) refuse("bf16_stochastic_rounding", "training of bf16 weights without a master");
  // Without a configuration of the user's, stage 3 offloads (config/deepspeed_files.cpp).
  if (args.use_deepspeed && args.deepspeed_stage == 3 && !args.deepspeed)
    refuse("deepspeed_stage", "stage 3 with its offload");
  if (args.use_deepspeed && args.cpu_offload) refuse("cpu_offload", "offload");
}

}  // namespace lathe
