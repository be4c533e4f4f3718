#pragma once
#include "config/settings_reader.h"

namespace lathe {

/// Settles what settings mean together: repairs what can be repaired (and says so in notes), and refuses what
/// contradicts itself.
void check_together(Settings& settings);

/// Refuses by name what this version does not do. A feature that arrives deletes its lines in supported.cpp.
void check_supported(Settings& settings);

/// The notes on keys that were given and have no effect.
void note_without_effect(Settings& settings);

}  // namespace lathe
