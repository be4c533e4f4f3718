// Every op's way to the plug-in, with the host build of its kernels in the plug-in's place: tensors on the CPU go
// through the calls that tensors on a GPU go through, and must give what the op gives on a CPU.
#include "ops/cuda_kernels.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include "kernels/cuda/plugin.h"
#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/rms_norm.h"
#include "ops/rotary.h"
#include "ops/swiglu.h"
#include "ops/update.h"

namespace lathe::ops {
namespace {

cuda::Queue host_queue() {
  return {*lathe_cuda_kernels(kernels::cuda::kTableVersion)};
}

class CudaOps : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor random(at::IntArrayRef sizes) {
    return at::randn(sizes, at::make_generator<at::CPUGeneratorImpl>(++seed_)).to(GetParam());
  }
  void expect_same(const at::Tensor& actual, const at::Tensor& expected) const {
    const double bound = expected.scalar_type() == at::kBFloat16 ? 1.0 / 64 : 1e-5;
    ASSERT_EQ(actual.scalar_type(), expected.scalar_type());
    EXPECT_TRUE(at::allclose(actual, expected, bound, bound)) << (actual - expected).abs().max();
  }

 private:
  uint64_t seed_ = 0;
};
INSTANTIATE_TEST_SUITE_P(, CudaOps, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) { return std::string(c10::toString(type.param)); });

TEST_P(CudaOps, RmsNorm) {
  const at::Tensor x = random({70, 24}), weight = random({24}), dy = random({70, 24});
  at::Tensor rstd, expected_rstd, dweight, expected_dweight;
  expect_same(cuda::rms_norm(host_queue(), x, weight, 1e-6, &rstd), rms_norm(x, weight, 1e-6, &expected_rstd));
  expect_same(rstd, expected_rstd);
  expect_same(cuda::rms_norm_backward(host_queue(), dy, x, weight, rstd, &dweight, true),
              rms_norm_backward(dy, x, weight, rstd, &expected_dweight));
  expect_same(dweight, expected_dweight);
  EXPECT_FALSE(cuda::rms_norm_backward(host_queue(), dy, x, weight, rstd, &dweight, false).defined());
  expect_same(dweight, expected_dweight);
  expect_same(cuda::rms_norm_backward(host_queue(), dy, x, weight, rstd, nullptr, true),
              rms_norm_backward(dy, x, weight, rstd, nullptr));
}

TEST_P(CudaOps, Rotary) {
  const RotaryTable table = rotary_table(at::arange(5, at::kInt), at::rand({8}), 1, GetParam());
  const at::Tensor x = random({5, 3, 16});
  expect_same(cuda::rotary(host_queue(), x, table.cos, table.sin, false), rotary(x, table));
  expect_same(cuda::rotary(host_queue(), x, table.cos, table.sin, true), rotary_backward(x, table));
}

TEST_P(CudaOps, Swiglu) {
  const at::Tensor gate = random({5, 33}), up = random({5, 33}), dy = random({5, 33});
  expect_same(cuda::swiglu(host_queue(), gate, up), swiglu(gate, up));
  at::Tensor expected_dy = dy.clone(), expected_dgate = gate.clone(), expected_dup = up.clone();
  cuda::swiglu_backward_(host_queue(), dy, gate, up);
  swiglu_backward_(expected_dy, expected_dgate, expected_dup);
  expect_same(dy, expected_dy);
  expect_same(gate, expected_dgate);
  expect_same(up, expected_dup);
}

TEST_P(CudaOps, CrossEntropy) {
  at::Tensor logits = random({4, 100}), expected = logits.clone();
  const at::Tensor targets = at::tensor({0, 7, 99, 3}, at::kLong);
  const at::Tensor losses = cuda::cross_entropy(host_queue(), logits, targets,
                                                {.label_smoothing = 0.1, .gradient = true, .gradient_scale = 2});
  const double loss = cross_entropy(expected, targets, 0.1, 2);
  EXPECT_NEAR(losses.sum().item<double>(), loss, 1e-4);
  expect_same(logits, expected);
}

TEST_P(CudaOps, SumOfSquares) {
  const at::Tensor x = random({3001});
  EXPECT_NEAR(cuda::sum_of_squares(host_queue(), x), sum_of_squares(x), 1e-9 * sum_of_squares(x));
}

TEST_P(CudaOps, DropoutDrawsTheSameMask) {
  const at::Tensor x = random({1000});
  const at::Tensor y = cuda::dropout(
      host_queue(), x,
      {.key = {9, 0}, .rest = {2U << 8 | 4U << 16, 3, 1}, .threshold = 16384, .scale = static_cast<float>(1 / 0.75)});
  const DropoutMask mask{.seed = 9, .step = 3, .micro_batch = 1, .layer = 4, .site = 2, .probability = 0.25};
  EXPECT_TRUE(at::equal(y, dropout(x, mask)));
}

TEST(CudaAdamW, UpdatesAsTheCpuDoes) {
  const auto values = [](uint64_t seed) { return at::randn({1001}, at::make_generator<at::CPUGeneratorImpl>(seed)); };
  const at::Tensor p = values(1), g = values(2), m = values(3), v = values(4).square();
  const at::Tensor expected_p = p.clone(), expected_m = m.clone(), expected_v = v.clone();
  const kernels::AdamWStep step = kernels::adamw_step(1e-2, 0.9, 0.999, 1e-8, 0.1, 7, 0.3);
  cuda::adamw(host_queue(), p, g, m, v, step);
  adamw({expected_p, {}}, g, expected_m, expected_v, step);
  EXPECT_TRUE(at::allclose(p, expected_p, 1e-6, 1e-6));
  EXPECT_TRUE(at::allclose(m, expected_m, 1e-6, 1e-6));
  EXPECT_TRUE(at::allclose(v, expected_v, 1e-6, 1e-6));
}

/// The very bits: what trains over a weight on one machine goes on over it on another.
TEST_P(CudaOps, OpensQuantisedWeights) {
  const at::Tensor weight = random({24, 200});
  for (const Quantization kind : {Quantization::kNf4, Quantization::kFp4, Quantization::kInt8}) {
    for (const bool twice : {true, false}) {
      const QuantizedWeight held = QuantizedWeight::quantize(weight, {.kind = kind, .double_quantized = twice});
      EXPECT_TRUE(at::equal(cuda::open(host_queue(), held, GetParam()), held.open(GetParam())));
    }
  }
  const QuantizedWeight held = QuantizedWeight::quantize(weight, {});
  EXPECT_TRUE(at::equal(held.to(at::kCPU).open(), held.open()));
}

TEST(CudaQueue, SaysWhatIsMissing) {
  if (kernels::cuda_plugin().kernels != nullptr) GTEST_SKIP() << "the CUDA plug-in is there";
  try {
    (void)cuda::queue_of(at::zeros({1}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("or train on the CPU: use_cpu=true"));
  }
}

TEST(CudaQueue, AFailedKernelIsAnError) {
  kernels::cuda::Kernels failing = *lathe_cuda_kernels(kernels::cuda::kTableVersion);
  failing.swiglu = [](kernels::cuda::Element, const void*, const void*, void*, int64_t, kernels::cuda::Stream) {
    return kernels::cuda::Status{2};
  };
  try {
    (void)cuda::swiglu({failing}, at::zeros({1, 1}), at::zeros({1, 1}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the CUDA kernel swiglu failed: out of memory"));
  }
}

}  // namespace
}  // namespace lathe::ops
