#include "ops/quantized_weight.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "base/memory_ledger.h"
#include "kernels/quantize.h"
#include "ops/check.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/linear.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

constexpr int64_t kBlocksAtOnce = 1024;  // widened, quantised or opened by a thread in one go

int64_t groups(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

/// torch's own mean, for its order of summation, by one thread: the offset must not depend on how many there are.
/// Within a parallel region ATen splits nothing further.
float mean_of(const at::Tensor& values) {
  float mean = 0;
  at::parallel_for(0, 2, 1, [&](int64_t begin, int64_t) {
    if (begin == 0) mean = values.mean().item<float>();
  });
  return mean;
}

}  // namespace

kernels::FourBitType four_bit_type(Quantization kind) {
  return kind == Quantization::kNf4 ? kernels::FourBitType::kNf4 : kernels::FourBitType::kFp4;
}

QuantizedWeight QuantizedWeight::quantize(const at::Tensor& weight, const QuantizationSettings& settings) {
  LATHE_EXPECT(weight, ({kAny, kAny}));
  const MemoryScope scope(MemoryClass::kWeights);
  QuantizedWeight made;
  made.settings_ = settings;
  made.out_features_ = weight.size(0);
  made.in_features_ = weight.size(1);
  if (settings.kind == Quantization::kInt8) {
    made.quantize_int8(weight);
  } else {
    made.quantize_4bit(weight);
  }
  return made;
}

void QuantizedWeight::quantize_4bit(const at::Tensor& weight) {
  const int64_t count = numel(), blocks = groups(count, kernels::kFourBitBlock);
  const at::Tensor flat = weight.contiguous().view({-1});
  codes_ = at::empty({groups(count, 2)}, at::dtype(at::kByte));
  const at::Tensor absmax = at::empty({blocks}, at::dtype(at::kFloat));
  auto* const codes = codes_.mutable_data_ptr<uint8_t>();
  auto* const scales = absmax.mutable_data_ptr<float>();
  at::parallel_for(0, groups(blocks, kBlocksAtOnce), 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const int64_t block = group * kBlocksAtOnce, first = block * kernels::kFourBitBlock;
      const at::Tensor wide =
          flat.slice(0, first, std::min(count, first + kBlocksAtOnce * kernels::kFourBitBlock)).to(at::kFloat);
      kernels::quantize_4bit(wide.const_data_ptr<float>(), codes + first / 2, scales + block, wide.numel(),
                             four_bit_type(settings_.kind));
    }
  });
  if (settings_.double_quantized) {
    quantize_scales(absmax);
  } else {
    absmax_ = absmax;
  }
}

void QuantizedWeight::quantize_scales(const at::Tensor& absmax) {
  offset_ = mean_of(absmax);
  const at::Tensor centred = absmax - offset_;
  absmax_ = at::empty(absmax.sizes(), at::dtype(at::kByte));
  nested_absmax_ = at::empty({groups(absmax.numel(), kernels::kAbsmaxBlock)}, at::dtype(at::kFloat));
  kernels::quantize_absmax(centred.const_data_ptr<float>(), absmax_.mutable_data_ptr<uint8_t>(),
                           nested_absmax_.mutable_data_ptr<float>(), absmax.numel());
}

void QuantizedWeight::quantize_int8(const at::Tensor& weight) {
  codes_ = at::empty({out_features_, in_features_}, at::dtype(at::kChar));
  absmax_ = at::empty({out_features_}, at::dtype(at::kFloat));
  auto* const codes = codes_.mutable_data_ptr<int8_t>();
  auto* const scales = absmax_.mutable_data_ptr<float>();
  const int64_t rows_at_once = std::max<int64_t>(1, kBlocksAtOnce * kernels::kFourBitBlock / in_features_);
  at::parallel_for(0, groups(out_features_, rows_at_once), 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const int64_t row = group * rows_at_once;
      const at::Tensor wide =
          weight.slice(0, row, std::min(out_features_, row + rows_at_once)).to(at::kHalf).to(at::kFloat).contiguous();
      kernels::quantize_int8(wide.const_data_ptr<float>(), codes + row * in_features_, scales + row, wide.size(0),
                             in_features_);
    }
  });
}

template <typename T>
void QuantizedWeight::open_4bit(T* y) const {
  const int64_t count = numel(), blocks = groups(count, kernels::kFourBitBlock);
  const auto* const codes = codes_.const_data_ptr<uint8_t>();
  at::parallel_for(0, groups(blocks, kBlocksAtOnce), 1, [&](int64_t begin, int64_t end) {
    std::array<float, kBlocksAtOnce> opened;
    for (int64_t group = begin; group < end; ++group) {
      const int64_t block = group * kBlocksAtOnce, first = block * kernels::kFourBitBlock;
      const float* scales = opened.data();
      if (settings_.double_quantized) {
        kernels::dequantize_absmax(absmax_.const_data_ptr<uint8_t>() + block, nested_absmax_.const_data_ptr<float>(),
                                   offset_, opened.data(), block, std::min(kBlocksAtOnce, blocks - block));
      } else {
        scales = absmax_.const_data_ptr<float>() + block;
      }
      kernels::dequantize_4bit(codes + first / 2, scales, y + first,
                               std::min(count - first, kBlocksAtOnce * kernels::kFourBitBlock),
                               four_bit_type(settings_.kind));
    }
  });
}

at::Tensor QuantizedWeight::open() const {
  return open(settings_.compute_dtype);
}

at::Tensor QuantizedWeight::open(at::ScalarType dtype) const {
  const MemoryScope scope(MemoryClass::kWorkspace);
  const ProfileScope profiled(ProfileKind::kOp, "open W", out_features_, in_features_);
  if (codes_.is_cuda()) return cuda::open(cuda::queue_of(codes_), *this, dtype);
  at::Tensor y = at::empty({out_features_, in_features_}, at::dtype(dtype));
  with_elements(y, [&](auto element) {
    auto* const to = mutable_elements<decltype(element)>(y);
    if (settings_.kind != Quantization::kInt8) return open_4bit(to);
    const int64_t grain = std::max<int64_t>(1, kBlocksAtOnce * kernels::kFourBitBlock / in_features_);
    at::parallel_for(0, out_features_, grain, [&](int64_t begin, int64_t end) {
      kernels::dequantize_int8(codes_.const_data_ptr<int8_t>() + begin * in_features_,
                               absmax_.const_data_ptr<float>() + begin, to + begin * in_features_, end - begin,
                               in_features_);
    });
  });
  return y;
}

QuantizedWeight QuantizedWeight::to(at::Device device) const {
  QuantizedWeight moved = *this;
  moved.codes_ = codes_.to(device);
  moved.absmax_ = absmax_.to(device);
  if (nested_absmax_.defined()) moved.nested_absmax_ = nested_absmax_.to(device);
  return moved;
}

int64_t QuantizedWeight::nbytes() const {
  return static_cast<int64_t>(codes_.nbytes() + absmax_.nbytes() +
                              (nested_absmax_.defined() ? nested_absmax_.nbytes() + sizeof(offset_) : 0));
}

int64_t WeightView::out_features() const {
  return quantized != nullptr ? quantized->out_features() : dense.size(0);
}

int64_t WeightView::in_features() const {
  return quantized != nullptr ? quantized->in_features() : dense.size(1);
}

at::Tensor linear(const at::Tensor& x, const WeightView& weight, const at::Tensor& bias, const Factors& adapter) {
  if (weight.quantized == nullptr) return linear(x, weight.dense, bias, adapter);
  const at::ScalarType computed = weight.quantized->settings().compute_dtype;
  if (computed == x.scalar_type()) return linear(x, weight.quantized->open(), bias, adapter);
  const at::Tensor rounded_bias = bias.defined() ? bias.to(computed) : bias;
  const at::Tensor y = linear(x.to(computed), weight.quantized->open(), rounded_bias).to(x.scalar_type());
  add_factors(y, adapter);
  return y;
}

void linear_input_gradient(const at::Tensor& dy, const WeightView& weight, at::Tensor& dx, const Factors& adapter) {
  if (weight.quantized == nullptr) return linear_input_gradient(dy, weight.dense, dx, adapter);
  const at::ScalarType computed = weight.quantized->settings().compute_dtype;
  if (computed == dy.scalar_type()) return linear_input_gradient(dy, weight.quantized->open(), dx, adapter);
  at::Tensor narrow;
  linear_input_gradient(dy.to(computed), weight.quantized->open(), narrow);
  dx = dx.defined() ? dx.add_(narrow) : narrow.to(dy.scalar_type());
  add_factors(dx, adapter);
}

}  // namespace lathe::ops
