#include "ops/cuda_kernels.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include "kernels/cuda/plugin.h"
#include "ops/elements.h"

namespace lathe::ops::cuda {
namespace {

kernels::cuda::Element element_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? kernels::cuda::Element::kBf16 : kernels::cuda::Element::kFloat;
}

void require(const Queue& queue, kernels::cuda::Status status, const char* name) {
  if (status == 0) return;
  throw Error(ErrorKind::kRun, fmt::format("the CUDA kernel {} failed: {}", name, queue.kernels.error_text(status)), {},
              "'lathe doctor' shows the GPU and its driver");
}

at::Tensor floats(const at::Tensor& like, at::IntArrayRef sizes) {
  return at::empty(sizes, like.options().dtype(at::kFloat));
}

float* data(const at::Tensor* tensor) {
  return tensor == nullptr || !tensor->defined() ? nullptr : mutable_elements<float>(*tensor);
}

}  // namespace

Queue queue_of(const at::Tensor& x) {
  const kernels::CudaPlugin& plugin = kernels::cuda_plugin();
  if (plugin.kernels == nullptr)
    throw Error(ErrorKind::kConfig, plugin.missing, {}, "or train on the CPU: use_cpu=true");
  const c10::impl::VirtualGuardImpl guard(x.device().type());
  return {*plugin.kernels, guard.getStream(x.device()).native_handle()};
}

at::Tensor rms_norm(const Queue& queue, const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor* rstd) {
  at::Tensor y = at::empty_like(x);
  if (rstd != nullptr) *rstd = floats(x, {x.size(0)});
  require(queue,
          queue.kernels.rms_norm(element_of(x), x.const_data_ptr(), weight.const_data_ptr(), y.mutable_data_ptr(),
                                 data(rstd), x.size(0), x.size(1), static_cast<float>(eps), queue.stream),
          "rms_norm");
  return y;
}

at::Tensor rms_norm_backward(const Queue& queue, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& rstd, at::Tensor* dweight, bool want_dx) {
  const int64_t rows = x.size(0), width = x.size(1);
  at::Tensor dx = want_dx ? at::empty_like(x) : at::Tensor(), workspace;
  if (dweight != nullptr) {
    *dweight = at::zeros({width}, x.options().dtype(at::kFloat));
    workspace = floats(x, {queue.kernels.rms_norm_workspace(rows, width)});
  }
  require(queue,
          queue.kernels.rms_norm_backward(
              element_of(x), dy.const_data_ptr(), x.const_data_ptr(), weight.const_data_ptr(), elements<float>(rstd),
              want_dx ? dx.mutable_data_ptr() : nullptr, data(dweight), data(&workspace), rows, width, queue.stream),
          "rms_norm_backward");
  return dx;
}

at::Tensor rotary(const Queue& queue, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  at::Tensor y = at::empty_like(x);
  require(queue,
          queue.kernels.rotary(element_of(x), x.const_data_ptr(), y.mutable_data_ptr(), elements<float>(cos),
                               elements<float>(sin), x.size(0), x.size(1), x.size(2), inverse, queue.stream),
          "rotary");
  return y;
}

at::Tensor swiglu(const Queue& queue, const at::Tensor& gate, const at::Tensor& up) {
  at::Tensor y = at::empty_like(gate);
  require(queue,
          queue.kernels.swiglu(element_of(gate), gate.const_data_ptr(), up.const_data_ptr(), y.mutable_data_ptr(),
                               gate.numel(), queue.stream),
          "swiglu");
  return y;
}

void swiglu_backward_(const Queue& queue, const at::Tensor& dy, const at::Tensor& gate, const at::Tensor& up) {
  require(queue,
          queue.kernels.swiglu_backward(element_of(gate), dy.mutable_data_ptr(), gate.mutable_data_ptr(),
                                        up.mutable_data_ptr(), gate.numel(), queue.stream),
          "swiglu_backward");
}

at::Tensor cross_entropy(const Queue& queue, const at::Tensor& logits, const at::Tensor& targets,
                         const kernels::CrossEntropy& options) {
  at::Tensor losses = floats(logits, {logits.size(0)});
  require(queue,
          queue.kernels.cross_entropy(element_of(logits), logits.mutable_data_ptr(), elements<int64_t>(targets),
                                      data(&losses), logits.size(0), logits.size(1), options, queue.stream),
          "cross_entropy");
  return losses;
}

double sum_of_squares(const Queue& queue, const at::Tensor& x) {
  const at::Tensor sums = at::empty({kernels::cuda::kSumParts + 1}, x.options().dtype(at::kDouble));
  auto* const parts = mutable_elements<double>(sums);
  require(queue,
          queue.kernels.sum_of_squares(element_of(x), x.const_data_ptr(), x.numel(), parts,
                                       parts + kernels::cuda::kSumParts, queue.stream),
          "sum_of_squares");
  return sums[kernels::cuda::kSumParts].item<double>();
}

void adamw(const Queue& queue, const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
           const at::Tensor& exp_avg_sq, const kernels::AdamWStep& step) {
  require(queue,
          queue.kernels.adamw(data(&parameter), elements<float>(gradient), data(&exp_avg), data(&exp_avg_sq),
                              parameter.numel(), step, queue.stream),
          "adamw");
}

at::Tensor open(const Queue& queue, const QuantizedWeight& weight, at::ScalarType dtype) {
  const QuantizationSettings& settings = weight.settings();
  at::Tensor y = at::empty({weight.out_features(), weight.in_features()}, weight.codes().options().dtype(dtype));
  if (settings.kind == Quantization::kInt8) {
    require(
        queue,
        queue.kernels.dequantize_int8(element_of(y), elements<int8_t>(weight.codes()), elements<float>(weight.absmax()),
                                      y.mutable_data_ptr(), y.size(0), y.size(1), queue.stream),
        "dequantize_int8");
    return y;
  }
  kernels::cuda::FourBitWeight held{};
  held.codes = elements<uint8_t>(weight.codes());
  held.values = kernels::four_bit_values(four_bit_type(settings.kind));
  if (settings.double_quantized) {
    held.absmax_codes = elements<uint8_t>(weight.absmax());
    held.nested = elements<float>(weight.nested_absmax());
    held.offset = weight.offset();
    held.scale_values = kernels::dynamic_map_values(kernels::DynamicMap::kSigned);
  } else {
    held.absmax = elements<float>(weight.absmax());
  }
  require(queue, queue.kernels.dequantize_4bit(element_of(y), held, y.mutable_data_ptr(), y.numel(), queue.stream),
          "dequantize_4bit");
  return y;
}

at::Tensor dropout(const Queue& queue, const at::Tensor& x, const kernels::DropoutDraw& draw) {
  at::Tensor y = at::empty_like(x);
  require(
      queue,
      queue.kernels.dropout(element_of(x), x.const_data_ptr(), y.mutable_data_ptr(), 0, x.numel(), draw, queue.stream),
      "dropout");
  return y;
}

}  // namespace lathe::ops::cuda
