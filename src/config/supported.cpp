#include <fmt/format.h>

#include <cstdlib>

#include "config/checks.h"

namespace lathe {

void check_supported(Settings& settings) {
  const char* ranks = std::getenv("WORLD_SIZE");
  if (ranks != nullptr && std::strtol(ranks, nullptr, 10) > 1) {
    settings.refuse("use_deepspeed",
                    fmt::format("WORLD_SIZE is {}: more than one rank is not part of this version", ranks),
                    "start one process; gradient_accumulation_steps gives the batch of several");
  }
}

}  // namespace lathe
