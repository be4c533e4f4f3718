#pragma once
// Every key of DeepSpeed's own JSON (0.19.8), by its path: which are used, which change nothing on one rank, and which
// are refused by name.
#include <string>
#include <string_view>
#include <vector>

#include "config/foreign_keys.h"

namespace lathe {

/// The harmless value of a key that is read and acted on (config/deepspeed.cpp).
inline constexpr const char* kUsed = "used";

/// Names are paths with dots: "zero_optimization.stage".
[[nodiscard]] const std::vector<ForeignKey>& deepspeed_keys();
[[nodiscard]] const ForeignKey* find_deepspeed_key(std::string_view path);
/// Whether some key stands below this path.
[[nodiscard]] bool is_deepspeed_section(std::string_view path);
/// The known path in the same section that is nearest to an unknown one; else the nearest of all.
[[nodiscard]] std::string nearest_deepspeed_key(std::string_view path);

}  // namespace lathe
