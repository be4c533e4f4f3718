#pragma once
// Every command, each in the file of its name. A new one is declared here and listed in commands.cpp.
#include <vector>

#include "app/command.h"

namespace lathe {

[[nodiscard]] Command doctor_command();
[[nodiscard]] Command download_command();
[[nodiscard]] Command generate_command();
[[nodiscard]] Command init_command();
[[nodiscard]] Command tokenize_command();
[[nodiscard]] Command train_command();
[[nodiscard]] Command train_tokenizer_command();
[[nodiscard]] Command plan_command();
[[nodiscard]] Command validate_command();

/// In the order of `lathe --help`.
[[nodiscard]] std::vector<Command> all_commands();

}  // namespace lathe
