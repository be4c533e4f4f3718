#pragma once
// One AdamW update of a flat range whose moments are kept in 8 bits (Dettmers et al. 2022, "8-bit Optimizers via
// Block-wise Quantization"): moments are opened, updated as kernels/adamw.h does, and closed again, a block at a time.
// Codes and scales are those that bitsandbytes 0.50.2 leaves on a CPU, bit for bit where the processor has fused
// products and sums; the weights differ by the rounding of the square root that it takes from MKL
// (tests/oracle/optimizer_8bit.py). Single-threaded; safe to call concurrently on disjoint ranges of whole blocks.
// Nothing is allocated. Plain version: kernels/reference/adamw_8bit.h.
#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/dynamic_map.h"

namespace lathe::kernels {

/// One moment of a range that starts with a block (kernels/dynamic_map.h).
struct BlockwiseMoment {
  uint8_t* codes;  ///< [count]
  float* absmax;   ///< one a block; the last one may be short
};

struct EightBitMoments {
  BlockwiseMoment exp_avg;     ///< in codes of the signed map
  BlockwiseMoment exp_avg_sq;  ///< of the unsigned one
};

/// @param parameter, moments [count], updated; moments start as zeros  @param gradient [count]
void adamw_8bit(float* parameter, const float* gradient, const EightBitMoments& moments, int64_t count,
                const AdamWStep& step);
void adamw_8bit(SplitMaster parameter, const float* gradient, const EightBitMoments& moments, int64_t count,
                const AdamWStep& step);
void adamw_8bit(SplitMaster parameter, const Bf16* gradient, const EightBitMoments& moments, int64_t count,
                const AdamWStep& step);

}  // namespace lathe::kernels
