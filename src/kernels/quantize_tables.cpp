// The values that codes stand for, as bitsandbytes works them out in fp32.
#include "kernels/quantize.h"

namespace lathe::kernels {
namespace {

constexpr std::array<float, 16> kNf4 = {
    -1.0F,
    -0.6961928009986877F,
    -0.5250730514526367F,
    -0.39491748809814453F,
    -0.28444138169288635F,
    -0.18477343022823334F,
    -0.09105003625154495F,
    0.0F,
    0.07958029955625534F,
    0.16093020141124725F,
    0.24611230194568634F,
    0.33791524171829224F,
    0.44070982933044434F,
    0.5626170039176941F,
    0.7229568362236023F,
    1.0F,
};

// Over 12, its largest. The zero of code 8 is a positive one.
constexpr std::array<float, 16> kFp4 = {
    0.0F, 0.0625F / 12,  8.0F / 12,  1.0F,  4.0F / 12,  6.0F / 12,  2.0F / 12,  3.0F / 12,
    0.0F, -0.0625F / 12, -8.0F / 12, -1.0F, -4.0F / 12, -6.0F / 12, -2.0F / 12, -3.0F / 12,
};

}  // namespace

const std::array<float, 16>& four_bit_values(FourBitType type) {
  return type == FourBitType::kNf4 ? kNf4 : kFp4;
}

}  // namespace lathe::kernels
