#pragma once
// What the user's data files hold, without reading their rows.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"

namespace lathe {

/// Digests text, looking at stop requests as it goes.
void digest_text(Sha256& digest, std::string_view text);

struct DataFiles {
  std::vector<int64_t> sizes;  ///< bytes of each file
  std::string fingerprint;     ///< SHA-256 of the files' bytes, in order
};

/// @throws Error(kData) for a file that is missing or unreadable.
[[nodiscard]] DataFiles fingerprint_files(const std::vector<std::string>& paths);

}  // namespace lathe
