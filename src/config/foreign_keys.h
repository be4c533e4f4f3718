#pragma once
// Keys that transformers, peft and bitsandbytes know and that have no meaning here. Each is known by name: it is
// accepted with values that change nothing (and that is said), and refused otherwise, with what to do.
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct ForeignKey {
  const char* name;
  const char* harmless;  ///< JSON values that change nothing, apart by spaces; "*": every value
  const char* advice;    ///< why a value that does matter is refused, and what to do; why none does, for "*"
};

[[nodiscard]] const std::vector<ForeignKey>& foreign_keys();
[[nodiscard]] const ForeignKey* find_foreign_key(std::string_view name);
/// @param json_text compact JSON of the value
[[nodiscard]] bool is_harmless(const ForeignKey& key, std::string_view json_text);

}  // namespace lathe
