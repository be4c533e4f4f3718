#pragma once
// A frozen weight held in 4 or 8 bits, with bitsandbytes' values (kernels/quantize.h), and the products with it.
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/quantize.h"
#include "ops/product.h"

namespace lathe::ops {

enum class Quantization : uint8_t { kNf4, kFp4, kInt8 };

[[nodiscard]] kernels::FourBitType four_bit_type(Quantization kind);  ///< of the two in 4 bits

struct QuantizationSettings {
  Quantization kind = Quantization::kNf4;
  bool double_quantized = true;  ///< 4 bits: the scales are held in 8 bits themselves
  /// Products with the weight are worked out in this type, whatever the type of x: kFloat, kBFloat16 or kHalf.
  at::ScalarType compute_dtype = at::ScalarType::BFloat16;
};

/// Immutable; copies share the storage.
class QuantizedWeight {
 public:
  /// @param weight [O,I] of any float type; only a few rows of it are widened at a time. The result is counted in the
  /// ledger's weights. 8 bits: rounded to fp16 first, as LLM.int8 does.
  [[nodiscard]] static QuantizedWeight quantize(const at::Tensor& weight, const QuantizationSettings& settings);

  /// [O,I] in the compute type, in workspace: to be dropped after the product it was opened for.
  [[nodiscard]] at::Tensor open() const;
  [[nodiscard]] at::Tensor open(at::ScalarType dtype) const;  ///< kFloat, kBFloat16; on a CPU kHalf too

  /// The same on another device: codes and scales are copied, nothing is opened.
  [[nodiscard]] QuantizedWeight to(at::Device device) const;

  [[nodiscard]] int64_t out_features() const { return out_features_; }
  [[nodiscard]] int64_t in_features() const { return in_features_; }
  [[nodiscard]] int64_t numel() const { return out_features_ * in_features_; }
  [[nodiscard]] int64_t nbytes() const;  ///< all that is held
  [[nodiscard]] const QuantizationSettings& settings() const { return settings_; }

  // What bitsandbytes' QuantState calls them.
  [[nodiscard]] const at::Tensor& codes() const { return codes_; }    ///< two a byte, uint8; 8 bits: [O,I] int8
  [[nodiscard]] const at::Tensor& absmax() const { return absmax_; }  ///< fp32, or uint8 codes of it
  [[nodiscard]] const at::Tensor& nested_absmax() const { return nested_absmax_; }  ///< fp32; undefined without
  [[nodiscard]] float offset() const { return offset_; }

 private:
  void quantize_4bit(const at::Tensor& weight);
  void quantize_scales(const at::Tensor& absmax);
  void quantize_int8(const at::Tensor& weight);
  template <typename T>
  void open_4bit(T* y) const;

  QuantizationSettings settings_;
  int64_t out_features_ = 0, in_features_ = 0;
  at::Tensor codes_, absmax_, nested_absmax_;
  float offset_ = 0;
};

/// A weight as its owner stores it: a tensor, or a quantised one.
struct WeightView {
  at::Tensor dense;                            ///< undefined when quantised
  const QuantizedWeight* quantized = nullptr;  ///< owned by whoever made the view
  [[nodiscard]] int64_t out_features() const;
  [[nodiscard]] int64_t in_features() const;
};

/// As ops::linear and ops::linear_input_gradient; a quantised weight is opened for the one product.
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const WeightView& weight, const at::Tensor& bias,
                                const Factors& adapter = {});
void linear_input_gradient(const at::Tensor& dy, const WeightView& weight, at::Tensor& dx, const Factors& adapter = {});

}  // namespace lathe::ops
