#include "kernels/dynamic_map.h"

#include <gtest/gtest.h>

#include "kernels/hex_values.h"
#include "kernels/kernel_test.h"
#include "kernels/reference/dynamic_map.h"

namespace lathe::kernels {
namespace {

struct Case {
  DynamicMap map;
  Json oracle;
};

/// tests/oracle/optimizer_8bit.py: bitsandbytes 0.50.2.
std::vector<Case> cases() {
  static const Json all = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/optimizer_8bit.json");
  return {{DynamicMap::kSigned, all["signed"]}, {DynamicMap::kUnsigned, all["unsigned"]}};
}

TEST(DynamicMapTables, AreThoseOfBitsandbytes) {
  for (const auto& [map, oracle] : cases()) {
    const auto& values = dynamic_map_values(map);
    expect_same(std::vector<float>(values.begin(), values.end()), from_hex<float>(oracle["map"]));
    // Where each code starts says what the code of every point is.
    const auto starts = oracle["starts"].get<std::vector<int>>();
    const auto grid = dynamic_map_grid(map);
    std::vector<uint8_t> expected(kDynamicGrid);
    for (size_t code = 0; code < starts.size(); ++code) {
      std::fill(expected.begin() + std::min(starts[code], kDynamicGrid), expected.end(), static_cast<uint8_t>(code));
    }
    EXPECT_TRUE(std::ranges::equal(grid, expected));
  }
}

/// As many blocks as x fills when each begins with a 1, so that every scale is 1.
std::vector<float> in_blocks_of_scale_one(const std::vector<float>& x) {
  std::vector<float> blocks;
  for (const float value : x) {
    if (blocks.size() % kDynamicBlock == 0) blocks.push_back(1);
    blocks.push_back(value);
  }
  return blocks;
}

TEST(QuantizeBlockwise, BesideEveryBoundAsBitsandbytes) {
  for (const auto& [map, oracle] : cases()) {
    const auto x = in_blocks_of_scale_one(from_hex<float>(oracle["near"]));
    const auto codes = from_hex<uint8_t>(oracle["near_codes"]);
    for_each_target([&, map = map] {
      std::vector<uint8_t> ours(x.size());
      std::vector<float> absmax((x.size() + 255) / 256);
      quantize_blockwise(x.data(), ours.data(), absmax.data(), static_cast<int64_t>(x.size()), map);
      expect_same(absmax, std::vector<float>(absmax.size(), 1));
      size_t next = 0;
      for (size_t i = 0; i < ours.size(); ++i) {
        if (i % kDynamicBlock == 0) continue;
        ASSERT_EQ(ours[i], codes[next]) << "of " << x[i];
        ++next;
      }
      EXPECT_EQ(next, codes.size());
    });
  }
}

std::vector<float> awkward_values(int64_t count) {
  auto x = random_values<float>(count, 9, 0.03);
  for (int64_t i = 0; i < count; ++i) {
    float& value = x[static_cast<size_t>(i)];
    if (i / 256 % 5 == 1) value = i % 2 == 0 ? 0.0F : -0.0F;
    if (i / 256 % 5 == 2) value *= 1e-40F;
    if (i / 256 % 5 == 3) value *= value;
  }
  if (count > 90) x[70] = nan_of<float>();
  if (count > 256 * 4 + 9) x[256 * 4 + 9] = -infinity_of<float>();
  return x;
}

TEST(QuantizeBlockwise, AgreesWithTheReference) {
  for (const DynamicMap map : {DynamicMap::kSigned, DynamicMap::kUnsigned}) {
    for_each_target([map] {
      for (const int64_t count : {1, 2, 15, 17, 255, 256, 257, 256 * 11 + 3}) {
        const auto x = awkward_values(count);
        std::vector<uint8_t> codes(x.size()), expected_codes(codes);
        std::vector<float> absmax((x.size() + 255) / 256), expected_absmax(absmax);
        quantize_blockwise(x.data(), codes.data(), absmax.data(), count, map);
        reference::quantize_blockwise(x.data(), expected_codes.data(), expected_absmax.data(), count, map);
        expect_same(codes, expected_codes);
        expect_same(absmax, expected_absmax);
        std::vector<float> opened(x.size()), expected_opened(opened);
        dequantize_blockwise(codes.data(), absmax.data(), opened.data(), count, map);
        reference::dequantize_blockwise(codes.data(), absmax.data(), expected_opened.data(), count, map);
        expect_same(opened, expected_opened);
      }
    });
  }
}

}  // namespace
}  // namespace lathe::kernels
