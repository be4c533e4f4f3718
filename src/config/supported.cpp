#include <fmt/format.h>

#include "config/checks.h"

namespace lathe {

void check_supported(Settings& settings) {
  const TrainingArguments& args = settings.args;
  const auto spelled = [&](const char* name) { return settings.has(name) ? settings.given.at(name).spelled : name; };
  const auto refuse = [&](const char* name, const char* thing, const char* advice) {
    settings.refuse(name, fmt::format("'{}': {} is not part of this version", spelled(name), thing), advice);
  };
  if (args.use_deepspeed) {
    refuse("use_deepspeed", "the DeepSpeed backend",
           "set use_deepspeed to false: the same preset trains on one process without it");
  }
  if (args.deepspeed) refuse("deepspeed", "the DeepSpeed backend", "remove the key");
  if (args.fp16 && args.strict_precision) {
    refuse("fp16", "training in fp16", "use \"bf16\": true, or leave strict_precision false");
  }
}

}  // namespace lathe
