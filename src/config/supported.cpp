#include <fmt/format.h>

#include <cstdlib>

#include "config/checks.h"

namespace lathe {

void check_supported(Settings& settings) {
  const TrainingArguments& args = settings.args;
  const auto spelled = [&](const char* name) { return settings.has(name) ? settings.given.at(name).spelled : name; };
  const auto refuse = [&](const char* name, const char* thing, const char* advice) {
    settings.refuse(name, fmt::format("'{}': {} is not part of this version", spelled(name), thing), advice);
  };
  const char* ranks = std::getenv("WORLD_SIZE");
  if (ranks != nullptr && std::strtol(ranks, nullptr, 10) > 1) {
    settings.refuse("use_deepspeed",
                    fmt::format("WORLD_SIZE is {}: more than one rank is not part of this version", ranks),
                    "start one process; gradient_accumulation_steps gives the batch of several");
  }
}

}  // namespace lathe
