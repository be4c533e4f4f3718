#include "kernels/attention.h"

#include <gtest/gtest.h>

#include "kernels/cpu/attention_bf16.h"
#include "kernels/kernel_test.h"
#include "kernels/reference/attention.h"

namespace lathe::kernels {
namespace {

struct Case {
  int64_t queries, keys, group, dim;
};

// One token, a cache's last token, odd sizes, one more than a block of fp32 queries, rows longer than two blocks, heads
// with a tail beside whole panels of 64, rows of more than one span of keys and with a cache beyond one; heads that fit
// tiles.
constexpr Case kCases[] = {{1, 1, 1, 8},      {1, 37, 2, 16},    {7, 7, 3, 5},      {49, 49, 2, 24},
                           {30, 70, 1, 64},   {130, 130, 2, 33}, {65, 65, 7, 112},  {300, 300, 1, 80},
                           {40, 560, 3, 128}, {1, 1, 1, 32},     {531, 531, 7, 64}, {67, 90, 2, 96}};

/// Two key/value heads, so that strides are wider than a head.
AttentionTask task_of(const Case& one) {
  return {one.queries, one.keys, one.group, one.dim, 2 * one.group * one.dim, 2 * one.dim};
}

template <typename T>
struct Results {
  std::vector<T> out, dq, dk, dv;
  std::vector<float> lse;
};

template <typename T>
struct Problem {
  explicit Problem(const Case& one)
      : task(task_of(one)),
        q(random_values<T>(one.queries * task.q_stride, 1)),
        k(random_values<T>(one.keys * task.kv_stride, 2)),
        v(random_values<T>(one.keys * task.kv_stride, 3)),
        dout(random_values<T>(one.queries * task.q_stride, 4)) {}

  [[nodiscard]] AttentionInputs<T> in() const { return {q.data(), k.data(), v.data()}; }
  [[nodiscard]] Results<T> empty() const {
    return {std::vector<T>(q.size()), std::vector<T>(q.size()), std::vector<T>(k.size()), std::vector<T>(k.size()),
            std::vector<float>(q.size() / static_cast<size_t>(task.head_dim))};
  }
  [[nodiscard]] Results<T> expected() const {
    Results<T> r = empty();
    reference::attention(in(), r.out.data(), r.lse.data(), task);
    reference::attention_backward(in(), dout.data(), {r.dq.data(), r.dk.data(), r.dv.data()}, task);
    return r;
  }
  /// In a workspace that holds NaN, so that nothing is read that was not written.
  [[nodiscard]] Results<T> ours() const {
    Results<T> r = empty();
    std::vector<float> space(static_cast<size_t>(attention_workspace<T>(task)), std::nanf(""));
    attention(in(), r.out.data(), r.lse.data(), task, space.data());
    space.assign(static_cast<size_t>(attention_backward_workspace<T>(task)), std::nanf(""));
    attention_backward(in(), {dout.data(), r.out.data(), r.lse.data()}, {r.dq.data(), r.dk.data(), r.dv.data()}, task,
                       space.data());
    return r;
  }
  /// In pairs of bf16, by the products that are asked for.
  [[nodiscard]] Results<T> in_pairs(bool in_tiles) const {
    Results<T> r = empty();
    std::vector<float> space(static_cast<size_t>(bf16_pairs::forward_workspace(task)), std::nanf(""));
    bf16_pairs::forward(in(), r.out.data(), r.lse.data(), task, space.data(), in_tiles);
    space.assign(static_cast<size_t>(bf16_pairs::backward_workspace(task)), std::nanf(""));
    bf16_pairs::backward(in(), {dout.data(), r.out.data(), r.lse.data()}, {r.dq.data(), r.dk.data(), r.dv.data()}, task,
                         space.data(), in_tiles);
    return r;
  }

  AttentionTask task;
  std::vector<T> q, k, v, dout;
};

/// Whether bf16 is multiplied in pairs at the moment: probabilities and dscores are then rounded to bf16.
bool rounds_inside() {
  if constexpr (bf16_pairs::kCompiled) {
    return bf16_pairs::supported() && (hwy::SupportedTargets() & HWY_AVX3) != 0;
  } else {
    return false;
  }
}

/// ‖difference‖ / ‖expected‖
template <typename T>
double relative(const std::vector<T>& actual, const std::vector<T>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = reference::wide(actual[i]), e = reference::wide(expected[i]);
    difference += (a - e) * (a - e), norm += e * e;
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

template <typename T>
class Attention : public ::testing::Test {};
TYPED_TEST_SUITE(Attention, ElementTypes);

TYPED_TEST(Attention, AgreesWithTheReference) {
  using T = TypeParam;
  for (const Case& one : kCases) {
    const Problem<T> problem(one);
    const Results<T> expected = problem.expected();
    for_each_target([&] {
      const Results<T> ours = problem.ours();
      expect_close(ours.lse, expected.lse, 64);
      if (std::is_same_v<T, Bf16> && rounds_inside()) return;  // below
      expect_close(ours.out, expected.out, 128);
      expect_close(ours.dq, expected.dq, 128);
      expect_close(ours.dk, expected.dk, 512);
      expect_close(ours.dv, expected.dv, 512);
    });
  }
}

// A rounding to bf16 is off by at most 2^-8 of the value, 2^-8/√3 in the mean square when errors are spread evenly over
// half a unit, less as values lie above a power of two. The result has two such errors, the probabilities' and its own,
// independent of one another; a gradient of q or k has also that of `out` in delta, which all of a row's dscores share.
// A sum keeps the relative error of its terms when they do not cancel; dscores sum to 0, which doubles theirs.
void expect_roundings_alone(const Results<Bf16>& ours, const Results<Bf16>& expected) {
  const double rounding = 0x1p-8 / std::sqrt(3.0);
  EXPECT_LE(relative(ours.out, expected.out), 1.5 * rounding);
  EXPECT_LE(relative(ours.dv, expected.dv), 1.5 * rounding);
  EXPECT_LE(relative(ours.dq, expected.dq), 3 * rounding);
  EXPECT_LE(relative(ours.dk, expected.dk), 3 * rounding);
  expect_close(ours.lse, expected.lse, 64);
}

TEST(AttentionInPairs, RoundsProbabilitiesAndDscoresAndNothingElse) {
  if (!rounds_inside()) GTEST_SKIP() << "no AVX512_BF16 here";
  for (const Case& one : kCases) {
    SCOPED_TRACE(::testing::Message() << one.queries << " of " << one.keys << ", " << one.group << " x " << one.dim);
    const Problem<Bf16> problem(one);
    expect_roundings_alone(problem.in_pairs(false), problem.expected());
  }
}

TEST(AttentionInTiles, RoundsAsPairsDo) {
  if (!rounds_inside() || !bf16_pairs::fits_tiles(64)) GTEST_SKIP() << "no AMX here";
  for (const Case& one : kCases) {
    if (!bf16_pairs::fits_tiles(one.dim)) continue;
    SCOPED_TRACE(::testing::Message() << one.queries << " of " << one.keys << ", " << one.group << " x " << one.dim);
    const Problem<Bf16> problem(one);
    expect_roundings_alone(problem.in_pairs(true), problem.expected());
  }
}

TEST(AttentionExtremes, LargeScoresStayFiniteAndNanGoesThrough) {
  const AttentionTask task{3, 3, 1, 4, 4, 4};
  for_each_target([&] {
    std::vector<float> q(12, 1e18F), k(12, 1e18F), v(12, 2), out(12);
    std::vector<float> space(static_cast<size_t>(attention_workspace<float>(task)));
    attention<float>({q.data(), k.data(), v.data()}, out.data(), nullptr, task, space.data());
    EXPECT_EQ(out, std::vector<float>(12, 2));
    k[0] = std::nanf("");
    attention<float>({q.data(), k.data(), v.data()}, out.data(), nullptr, task, space.data());
    EXPECT_TRUE(std::isnan(out[0]));
  });
}

TEST(AttentionExtremes, InBf16Too) {
  constexpr int64_t kTokens = 70;  // more than a panel of keys
  const AttentionTask task{kTokens, kTokens, 1, 4, 4, 4};
  for_each_target([&] {
    std::vector<Bf16> q(4 * kTokens, reference::narrow<Bf16>(1e18)), k = q, v(q.size(), reference::narrow<Bf16>(2)),
                                                                     out(q.size());
    std::vector<float> space(static_cast<size_t>(attention_workspace<Bf16>(task)));
    const auto run = [&] { attention<Bf16>({q.data(), k.data(), v.data()}, out.data(), nullptr, task, space.data()); };
    run();
    EXPECT_EQ(out, v);
    // Keys of -infinity share of the weight count for nothing, even where a row has met no others yet.
    std::fill(k.begin(), k.begin() + 4 * 66, reference::narrow<Bf16>(-3e38));
    run();
    EXPECT_EQ(out[4 * 68], v[0]);
    k[0] = nan_of<Bf16>();
    run();
    EXPECT_TRUE(std::isnan(reference::wide(out[0])));
    EXPECT_TRUE(std::isnan(reference::wide(out[4 * 69])));
  });
}

}  // namespace
}  // namespace lathe::kernels
