#include <fmt/format.h>

#include <cstdlib>

#include "config/checks.h"

namespace lathe {

// Started several times over, each process would take itself for the whole run and write the same folder. A batch
// script of several tasks is one process: Slurm counts a step's apart.
void check_supported(Settings& settings) {
  for (const char* variable : {"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* ranks = std::getenv(variable);
    if (ranks == nullptr || std::strtol(ranks, nullptr, 10) <= 1) continue;
    settings.refuse("use_deepspeed",
                    fmt::format("{} is {}: more than one rank is not part of this version", variable, ranks),
                    "start one process; gradient_accumulation_steps gives the batch of several");
  }
}

}  // namespace lathe
