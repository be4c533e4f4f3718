// What can be known of it without a GPU: which kernel is taken, and where it is told that rows lie. attention_test.cpp
// holds the kernels themselves to the CPU's wherever there is a GPU.
#include "ops/cuda_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include "ops/device.h"

namespace lathe::ops {
namespace {

TEST(CudaAttention, RowsBecomeCumulativeLengths) {
  const cuda::RowLengths lengths = cuda::row_lengths({{0, 3, 0, 3}, {3, 1, 3, 1}, {4, 7, 4, 9}});
  EXPECT_EQ(lengths.queries, (std::vector<int32_t>{0, 3, 4, 11}));
  EXPECT_EQ(lengths.keys, (std::vector<int32_t>{0, 3, 4, 13}));
  EXPECT_EQ(lengths.longest_queries, 7);
  EXPECT_EQ(lengths.longest_keys, 9);
}

TEST(CudaAttention, RowsWithGapsAreRefused) {
  EXPECT_THROW((void)cuda::row_lengths({{0, 3, 0, 3}, {4, 1, 3, 1}}), Error);
  EXPECT_THROW((void)cuda::row_lengths({{0, 3, 1, 3}}), Error);
}

TEST(CudaAttention, FlashAttentionTakesBf16OfItsHeadDims) {
  EXPECT_TRUE(cuda::flash_attention_takes(at::kBFloat16, 64));
  EXPECT_TRUE(cuda::flash_attention_takes(at::kBFloat16, 256));
  EXPECT_FALSE(cuda::flash_attention_takes(at::kBFloat16, 260));
  EXPECT_FALSE(cuda::flash_attention_takes(at::kBFloat16, 36));
  EXPECT_FALSE(cuda::flash_attention_takes(at::kFloat, 64));
}

TEST(CudaAttention, IsTheCpusOnAGpu) {
  if (!gpu_state().usable) GTEST_SKIP() << gpu_state().text;
  const c10::Device device = choose_device(false);
  const std::vector<AttentionRow> rows{{0, 40, 0, 40}, {40, 1, 40, 1}, {41, 87, 41, 87}};
  for (const at::ScalarType type : {at::kBFloat16, at::kFloat}) {
    const auto random = [&](int64_t heads) { return at::randn({128, heads, 64}, type); };
    const at::Tensor q = random(6), k = random(2), v = random(2), dout = random(6);
    const double bound = type == at::kFloat ? 1e-4 : 3e-2;
    const auto there = [&](const at::Tensor& tensor) { return tensor.to(device); };
    const auto same = [&](const at::Tensor& actual, const at::Tensor& expected) {
      return at::allclose(actual.cpu(), expected, bound, bound);
    };
    AttentionSaved here{q, k, v, {}, {}}, saved{there(q), there(k), there(v), {}, {}};
    here.out = attention(q, k, v, rows, &here.lse);
    saved.out = attention(saved.q, saved.k, saved.v, rows, &saved.lse);
    EXPECT_TRUE(same(saved.out, here.out));
    const AttentionGradients actual = attention_backward(there(dout), saved, rows);
    const AttentionGradients expected = attention_backward(dout, here, rows);
    EXPECT_TRUE(same(actual.dq, expected.dq));
    EXPECT_TRUE(same(actual.dk, expected.dk));
    EXPECT_TRUE(same(actual.dv, expected.dv));
  }
}

}  // namespace
}  // namespace lathe::ops
