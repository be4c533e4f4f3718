#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/dynamic_map.h"

namespace lathe::kernels {
namespace {

/// torch.linspace(0.1, 1, parts + 1) in fp32: the two halves are counted from their own ends, with one rounding.
float bound(int index, int parts) {
  const float step = (1.0F - 0.1F) / static_cast<float>(parts);
  return index < (parts + 1) / 2 ? std::fma(step, static_cast<float>(index), 0.1F)
                                 : std::fma(-step, static_cast<float>(parts - index), 1.0F);
}

std::array<float, 256> make_map(bool is_signed) {
  std::vector<float> values = {0, 1};
  for (int decade = 0; decade < 7; ++decade) {
    const int parts = (is_signed ? 1 : 2) << decade;
    const auto unit = static_cast<float>(std::pow(10.0, decade - 6));
    for (int i = 0; i < parts; ++i) {
      const float value = unit * ((bound(i, parts) + bound(i + 1, parts)) / 2);
      values.push_back(value);
      if (is_signed) values.push_back(-value);
    }
  }
  std::ranges::sort(values);
  std::array<float, 256> map{};
  std::ranges::copy(values, map.begin());
  return map;
}

using Grid = std::array<uint8_t, kDynamicGrid>;

Grid make_grid(const std::array<float, 256>& map) {
  Grid codes{};
  size_t code = 0;
  for (int i = 0; i < kDynamicGrid; ++i) {
    const float value = -1.0F + (2.0F * static_cast<float>(i)) / (kDynamicGrid - 1);
    while (code < 255 && 0.5F * (map[code] + map[code + 1]) < value) ++code;
    codes[static_cast<size_t>(i)] = static_cast<uint8_t>(code);
  }
  return codes;
}

}  // namespace

const std::array<float, 256>& dynamic_map_values(DynamicMap map) {
  static const std::array<float, 256> with_sign = make_map(true), without = make_map(false);
  return map == DynamicMap::kSigned ? with_sign : without;
}

std::span<const uint8_t, kDynamicGrid> dynamic_map_grid(DynamicMap map) {
  static const Grid with_sign = make_grid(dynamic_map_values(DynamicMap::kSigned)),
                    without = make_grid(dynamic_map_values(DynamicMap::kUnsigned));
  return map == DynamicMap::kSigned ? with_sign : without;
}

}  // namespace lathe::kernels
