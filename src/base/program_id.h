#pragma once
#include <string>

namespace lathe {

/// The linker's build id of the running program, in hex: another one for every change of its code. "" when it has none.
[[nodiscard]] std::string program_id();

}  // namespace lathe
