#pragma once
// An fp32 weight in 32 bits, half of which are the bf16 weight that the model reads: the bf16 nearest to it (ties to
// even) and the rest, so that its bits are (bf16 << 16) + rest. Single-threaded; safe to call concurrently on disjoint
// ranges.
//
// Not every fp32 fits: 65,537 of them round to one even bf16. The one that lies halfway to the next bf16 away from zero
// is kept one fp32 ulp nearer to zero (the rest saturates). NaN loses its payload.
#include <cstdint>

#include "kernels/bf16.h"

namespace lathe::kernels {

struct SplitMaster {
  Bf16* rounded;
  int16_t* rest;
};

/// @param values [count]  @param into [count] each
void split_master(const float* values, SplitMaster into, int64_t count);
/// @param rounded, rest [count]  @param values out [count]
void join_master(const Bf16* rounded, const int16_t* rest, float* values, int64_t count);

}  // namespace lathe::kernels
