#include "kernels/quantize.h"

#include <gtest/gtest.h>

#include "kernels/hex_values.h"
#include "kernels/kernel_test.h"
#include "kernels/reference/quantize.h"

namespace lathe::kernels {
namespace {

const Json& oracle() {
  static const Json all = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/quantize.json");
  return all;
}

FourBitType type_of(const Json& item) {
  return item["kind"] == "nf4" ? FourBitType::kNf4 : FourBitType::kFp4;
}

size_t blocks_of(size_t count) {
  return (count + 63) / 64;
}

std::vector<float> awkward_values(int64_t count) {
  std::vector<float> x = random_values<float>(count, 9, 0.03);
  for (int64_t i = 0; i < count; ++i) {
    if (i / 64 % 5 == 1) x[static_cast<size_t>(i)] = i % 2 == 0 ? 0.0F : -0.0F;
    if (i / 64 % 5 == 2) x[static_cast<size_t>(i)] *= 1e-38F;
  }
  if (count > 90) x[70] = nan_of<float>();
  if (count > 300) x[300] = -infinity_of<float>();
  return x;
}

TEST(Quantize, TablesAreThoseOfBitsandbytes) {
  const auto list = [](const auto& values) { return std::vector<float>(values.begin(), values.end()); };
  expect_same(list(dynamic_map_values(DynamicMap::kSigned)), from_hex<float>(oracle()["map"]));
  expect_same(list(four_bit_values(FourBitType::kNf4)), from_hex<float>(oracle()["nf4"]));
  expect_same(list(four_bit_values(FourBitType::kFp4)), from_hex<float>(oracle()["fp4"]));
}

TEST(Quantize, FourBitsAgreeWithBitsandbytes) {
  for_each_target([] {
    for (const Json& item : oracle()["four_bit"]) {
      const auto x = from_hex<float>(item["x"]);
      SCOPED_TRACE(item["kind"].get<std::string>() + " " + std::to_string(x.size()));
      std::vector<uint8_t> codes((x.size() + 1) / 2);
      std::vector<float> absmax(blocks_of(x.size())), opened(x.size());
      const auto count = static_cast<int64_t>(x.size());
      quantize_4bit(x.data(), codes.data(), absmax.data(), count, type_of(item));
      expect_same(codes, from_hex<uint8_t>(item["codes"]));
      expect_same(absmax, from_hex<float>(item["absmax"]));
      dequantize_4bit(codes.data(), absmax.data(), opened.data(), count, type_of(item));
      expect_same(opened, from_hex<float>(item["opened"]));
    }
  });
}

template <typename T>
void compare_opened(const std::vector<uint8_t>& codes, const std::vector<float>& absmax, int64_t count,
                    FourBitType type) {
  std::vector<T> narrow(static_cast<size_t>(count)), expected(narrow);
  dequantize_4bit(codes.data(), absmax.data(), narrow.data(), count, type);
  reference::dequantize_4bit(codes.data(), absmax.data(), expected.data(), count, type);
  expect_close(narrow, expected, 0);
}

TEST(Quantize, FourBitsAgreeWithTheReference) {
  for_each_target([] {
    for (const int64_t count : {1, 2, 63, 64, 65, 128, 200, 257, 64 * 20 + 3}) {
      for (const FourBitType type : {FourBitType::kNf4, FourBitType::kFp4}) {
        SCOPED_TRACE(count);
        const auto x = awkward_values(count);
        std::vector<uint8_t> codes((x.size() + 1) / 2), expected_codes(codes);
        std::vector<float> absmax(blocks_of(x.size())), expected_absmax(absmax);
        quantize_4bit(x.data(), codes.data(), absmax.data(), count, type);
        reference::quantize_4bit(x.data(), expected_codes.data(), expected_absmax.data(), count, type);
        expect_same(codes, expected_codes);
        expect_same(absmax, expected_absmax);
        std::vector<float> wide(x.size()), expected_wide(wide);
        dequantize_4bit(codes.data(), absmax.data(), wide.data(), count, type);
        reference::dequantize_4bit(codes.data(), absmax.data(), expected_wide.data(), count, type);
        expect_same(wide, expected_wide);
        compare_opened<Bf16>(codes, absmax, count, type);
        compare_opened<F16>(codes, absmax, count, type);
      }
    }
  });
}

TEST(Quantize, ScalesAgreeWithBitsandbytes) {
  for (const Json& item : oracle()["absmax"]) {
    const auto x = from_hex<float>(item["x"]);
    const auto count = static_cast<int64_t>(x.size());
    std::vector<uint8_t> codes(x.size()), expected_codes(codes);
    std::vector<float> nested((x.size() + 255) / 256), expected_nested(nested), opened(x.size()),
        expected_opened(opened);
    quantize_absmax(x.data(), codes.data(), nested.data(), count);
    expect_same(codes, from_hex<uint8_t>(item["codes"]));
    expect_same(nested, from_hex<float>(item["nested"]));
    reference::quantize_absmax(x.data(), expected_codes.data(), expected_nested.data(), count);
    expect_same(codes, expected_codes);
    expect_same(nested, expected_nested);
    const auto offset = item["offset"].get<float>();
    dequantize_absmax(codes.data(), nested.data(), offset, opened.data(), 0, 200);
    dequantize_absmax(codes.data() + 200, nested.data(), offset, opened.data() + 200, 200, count - 200);
    expect_same(opened, from_hex<float>(item["opened"]));
    reference::dequantize_absmax(codes.data(), nested.data(), offset, expected_opened.data(), 0, count);
    expect_same(opened, expected_opened);
  }
}

TEST(Quantize, Int8AgreesWithBitsandbytes) {
  for_each_target([] {
    for (const Json& item : oracle()["int8"]) {
      const auto x = from_hex<float>(item["x"]);
      const int64_t rows = item["rows"], width = item["width"];
      SCOPED_TRACE(width);
      std::vector<int8_t> codes(x.size());
      std::vector<float> absmax(static_cast<size_t>(rows)), opened(x.size());
      std::vector<Bf16> narrow(x.size());
      quantize_int8(x.data(), codes.data(), absmax.data(), rows, width);
      expect_same(codes, from_hex<int8_t>(item["codes"]));
      expect_same(absmax, from_hex<float>(item["absmax"]));
      dequantize_int8(codes.data(), absmax.data(), opened.data(), rows, width);
      expect_same(opened, from_hex<float>(item["opened"]));
      dequantize_int8(codes.data(), absmax.data(), narrow.data(), rows, width);
      expect_same(narrow, from_hex<Bf16>(item["opened_bf16"]));
    }
  });
}

TEST(Quantize, Int8AgreesWithTheReference) {
  for_each_target([] {
    for (const int64_t width : kSizes) {
      const int64_t rows = 4;
      auto x = random_values<float>(rows * width, 5);
      std::fill_n(x.begin(), width, 0.0F);
      if (width > 2) x[static_cast<size_t>(width + 1)] = infinity_of<float>();
      if (width > 2) x[static_cast<size_t>(2 * width + 2)] = nan_of<float>();
      std::vector<int8_t> codes(x.size()), expected_codes(codes);
      std::vector<float> absmax(rows), expected_absmax(absmax), opened(x.size()), expected_opened(opened);
      quantize_int8(x.data(), codes.data(), absmax.data(), rows, width);
      reference::quantize_int8(x.data(), expected_codes.data(), expected_absmax.data(), rows, width);
      expect_same(codes, expected_codes);
      expect_same(absmax, expected_absmax);
      dequantize_int8(codes.data(), absmax.data(), opened.data(), rows, width);
      reference::dequantize_int8(codes.data(), absmax.data(), expected_opened.data(), rows, width);
      expect_same(opened, expected_opened);
    }
  });
}

}  // namespace
}  // namespace lathe::kernels
