#pragma once
// Dropout whose mask is drawn, not stored: Philox4x32-10 (base/philox.h) at the element's place.
//
// A block is 128 elements and 16 counters. Counter l of a block gives eight draws of 16 bits, the low half of each word
// before the high one; draw d belongs to element 16 d + l. So a vector of counters serves neighbouring elements, and the
// mask does not depend on how wide vectors are. Single-threaded; safe to call concurrently on disjoint ranges.
#include <array>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::kernels {

inline constexpr int64_t kDropoutBlock = 128;

struct DropoutDraw {
  std::array<uint32_t, 2> key{};
  /// The counter but for its first word, which is the low half of the counter's number; the high half, at most 8 bits, is
  /// added to the first word here.
  std::array<uint32_t, 3> rest{};
  uint32_t threshold = 0;  ///< draws below it drop, of 65,536
  float scale = 1;         ///< of what is kept
};

/// y = keep ? scale · x : 0.
/// @param x, y [count], element `first` of the whole and those after it; y may be x
/// @param first a multiple of kDropoutBlock
void dropout(const float* x, float* y, int64_t first, int64_t count, const DropoutDraw& draw);
void dropout(const Bf16* x, Bf16* y, int64_t first, int64_t count, const DropoutDraw& draw);
void dropout(const F16* x, F16* y, int64_t first, int64_t count, const DropoutDraw& draw);

}  // namespace lathe::kernels
