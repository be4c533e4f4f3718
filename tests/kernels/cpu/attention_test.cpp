#include "kernels/attention.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/attention.h"

namespace lathe::kernels {
namespace {

struct Case {
  int64_t queries, keys, group, dim;
};

// One token, a cache's last token, odd sizes, one more than a block of queries, rows longer than two blocks.
constexpr Case kCases[] = {{1, 1, 1, 8},    {1, 37, 2, 16},  {7, 7, 3, 5},
                           {49, 49, 2, 24}, {30, 70, 1, 64}, {130, 130, 2, 33}};

/// Two key/value heads, so that strides are wider than a head.
AttentionTask task_of(const Case& one) {
  return {one.queries, one.keys, one.group, one.dim, 2 * one.group * one.dim, 2 * one.dim};
}

template <typename T>
class Attention : public ::testing::Test {};
TYPED_TEST_SUITE(Attention, ElementTypes);

TYPED_TEST(Attention, AgreesWithTheReference) {
  using T = TypeParam;
  for (const Case& one : kCases) {
    const AttentionTask task = task_of(one);
    const auto q = random_values<T>(one.queries * task.q_stride, 1),
               dout = random_values<T>(one.queries * task.q_stride, 4);
    const auto k = random_values<T>(one.keys * task.kv_stride, 2), v = random_values<T>(one.keys * task.kv_stride, 3);
    std::vector<T> expected(q.size()), dq(q.size()), dk(k.size()), dv(k.size());
    reference::attention(q.data(), k.data(), v.data(), expected.data(), task);
    reference::attention_backward(dout.data(), q.data(), k.data(), v.data(), {dq.data(), dk.data(), dv.data()}, task);
    for_each_target([&] {
      std::vector<T> out(q.size()), our_dq(q.size()), our_dk(k.size()), our_dv(k.size());
      std::vector<float> space(static_cast<size_t>(attention_workspace(task)), std::nanf(""));
      attention(q.data(), k.data(), v.data(), out.data(), task, space.data());
      expect_close(out, expected, 64);
      space.assign(static_cast<size_t>(attention_backward_workspace(task)), std::nanf(""));
      attention_backward(dout.data(), q.data(), k.data(), v.data(), {our_dq.data(), our_dk.data(), our_dv.data()}, task,
                         space.data());
      expect_close(our_dq, dq, 128);
      expect_close(our_dk, dk, 512);
      expect_close(our_dv, dv, 512);
    });
  }
}

TEST(AttentionExtremes, LargeScoresStayFiniteAndNanGoesThrough) {
  const AttentionTask task{3, 3, 1, 4, 4, 4};
  for_each_target([&] {
    std::vector<float> q(12, 1e18F), k(12, 1e18F), v(12, 2), out(12);
    std::vector<float> space(static_cast<size_t>(attention_workspace(task)));
    attention(q.data(), k.data(), v.data(), out.data(), task, space.data());
    EXPECT_EQ(out, std::vector<float>(12, 2));
    k[0] = std::nanf("");
    attention(q.data(), k.data(), v.data(), out.data(), task, space.data());
    EXPECT_TRUE(std::isnan(out[0]));
  });
}

}  // namespace
}  // namespace lathe::kernels
