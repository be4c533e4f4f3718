#include "base/dtype.h"

#include <array>
#include <bit>
#include <string>
#include <utility>

namespace lathe {
namespace {

struct Row {
  DType dtype;
  int64_t size;
  std::string_view name, torch_name, short_name;
};

constexpr std::array<Row, 10> kTypes{{
    {DType::kF64, 8, "F64", "float64", "fp64"},
    {DType::kF32, 4, "F32", "float32", "fp32"},
    {DType::kF16, 2, "F16", "float16", "fp16"},
    {DType::kBF16, 2, "BF16", "bfloat16", "bf16"},
    {DType::kI64, 8, "I64", "int64", "i64"},
    {DType::kI32, 4, "I32", "int32", "i32"},
    {DType::kI16, 2, "I16", "int16", "i16"},
    {DType::kI8, 1, "I8", "int8", "i8"},
    {DType::kU8, 1, "U8", "uint8", "u8"},
    {DType::kBool, 1, "BOOL", "bool", "bool"},
}};

const Row& row(DType dtype) {
  return kTypes[static_cast<size_t>(dtype)];
}

}  // namespace

int64_t size_bytes(DType dtype) {
  return row(dtype).size;
}
std::string_view name(DType dtype) {
  return row(dtype).name;
}
std::string_view torch_name(DType dtype) {
  return row(dtype).torch_name;
}

std::optional<DType> parse_dtype(std::string_view text) {
  for (const Row& type : kTypes) {
    if (type.name == text) return type.dtype;
  }
  return std::nullopt;
}

std::optional<DType> parse_torch_dtype(std::string_view text) {
  constexpr std::string_view kPrefix = "torch.";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  for (const Row& type : kTypes) {
    if (type.torch_name == text || type.short_name == text) return type.dtype;
  }
  return std::nullopt;
}

uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);  // NaN, kept quiet
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

}  // namespace lathe
