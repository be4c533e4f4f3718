#pragma once
// Memory behind a mapped file (base/file.h).
#include <cstddef>
#include <span>

namespace lathe {

/// Gives back the memory of a part of a read-only mapping that is not needed for now: reading it again reads the file
/// again. Pages that the part shares with its neighbours stay.
void give_back_pages(std::span<const std::byte> part);

}  // namespace lathe
