#include "app/commands/commands.h"

namespace lathe {

std::vector<Command> all_commands() {
  return {
      train_command(),           generate_command(), init_command(),     download_command(), tokenize_command(),
      train_tokenizer_command(), plan_command(),     validate_command(), doctor_command(),
  };
}

}  // namespace lathe
