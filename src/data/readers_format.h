#pragma once
// The row formats: a JSON object of any of them to a Row (docs/data.md lists them).
#include <lathe/error.h>

#include <cstdint>
#include <map>
#include <string>

#include "base/json.h"
#include "data/row.h"

namespace lathe {

/// How many rows hold each key that no format reads.
using KeyCounts = std::map<std::string, int64_t>;

/// @param where file and line of the row, for errors.  @param unread out: counts of keys that were not used.
/// @throws Error(kData) for an object of no known format (lists them), a missing or wrongly typed field (named), a
/// conversation that is empty, does not end with an assistant turn, or holds tools or unknown roles.
[[nodiscard]] Row row_from_json(const Json& json, const Where& where, KeyCounts& unread);

}  // namespace lathe
