#pragma once
// fp32 to bf16, away from zero or toward it by a draw: away as often as the value lies far on the way there, so that
// the mean over draws is the value itself (Gupta, Agrawal, Gopalakrishnan, Narayanan 2015, "Deep learning with limited
// numerical precision"). Single-threaded; safe to call concurrently on disjoint ranges.
//
// Draws are Philox4x32-10's (base/philox.h) at the element's place, 16 bits each, laid out as those of
// kernels/dropout.h: they depend on neither threads nor vectors.
#include <array>
#include <cstdint>

#include "kernels/bf16.h"

namespace lathe::kernels {

struct RoundingDraw {
  std::array<uint32_t, 2> key{};
  std::array<uint32_t, 3> rest{};  ///< the counter but for its first word, as DropoutDraw::rest
};

/// What updates of weights without a master do to each new weight (kernels/adamw.h), by itself. What is a bf16 already
/// stays, infinities too; NaN becomes the quiet one that torch writes. A finite value beyond the largest bf16 may
/// become infinite.
/// @param values, rounded [count], element `first` of the whole and those after it
/// @param first a multiple of kDropoutBlock
void round_stochastically(const float* values, Bf16* rounded, int64_t first, int64_t count, const RoundingDraw& draw);

}  // namespace lathe::kernels
