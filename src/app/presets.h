#pragma once
// The configurations that come with the program (configs/train_config_*.json).
#include <string>
#include <vector>

namespace lathe {

/// The folder that holds configs/: LATHE_HOME, or found from where the program lies (build folder or installation).
/// @throws Error(kConfig) when none of them has it, naming the places.
[[nodiscard]] std::string home_directory();

/// Names that `-t` takes: those of the files, without "deepspeed_" where there is more behind it (the toolkit's names).
[[nodiscard]] std::vector<std::string> preset_names();

/// The preset's file. @throws Error(kConfig) for a name that there is not, listing those there are.
[[nodiscard]] std::string preset_file(const std::string& name);

}  // namespace lathe
