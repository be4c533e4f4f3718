#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace lathe {

/// Letters to insert, delete, replace or swap with a neighbour to get from one word to the other
/// (optimal string alignment, Damerau 1964).
[[nodiscard]] int edit_distance(std::string_view a, std::string_view b);

/// The known key or alias that is nearest to a word that is none.
[[nodiscard]] std::string nearest_key(std::string_view word);

}  // namespace lathe
