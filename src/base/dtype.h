#pragma once
// Element types of tensors on disk and in memory, named as safetensors names them.
#include <cstdint>
#include <optional>
#include <string_view>

namespace lathe {

enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

[[nodiscard]] int64_t size_bytes(DType dtype);                          ///< of one element
[[nodiscard]] std::string_view name(DType dtype);                       ///< "F32", "BF16", …
[[nodiscard]] std::optional<DType> parse_dtype(std::string_view name);  ///< safetensors names
/// "float32", "bfloat16", "float16" and torch's short forms "fp32", "bf16", "fp16"; config.json and keys use these.
[[nodiscard]] std::optional<DType> parse_torch_dtype(std::string_view name);
[[nodiscard]] std::string_view torch_name(DType dtype);  ///< "float32", …

/// bf16 bits of value, rounded to nearest, ties to even; NaN stays NaN.
[[nodiscard]] uint16_t float_to_bf16(float value);
[[nodiscard]] float bf16_to_float(uint16_t bits);

}  // namespace lathe
