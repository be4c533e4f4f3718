#pragma once
#include <cstdint>

namespace lathe::kernels {

constexpr int64_t rounded_up(int64_t count, int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

}  // namespace lathe::kernels
