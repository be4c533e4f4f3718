#include "kernels/adamw_8bit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/mt19937.h"
#include "kernels/hex_values.h"
#include "kernels/kernel_test.h"
#include "kernels/reference/adamw_8bit.h"

namespace lathe::kernels {
namespace {

std::vector<float> uniform(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  Mt19937(seed).uniform(values.data(), count, -1, 1);
  return values;
}

/// A parameter's weights and moments.
struct Weights {
  explicit Weights(std::vector<float> start)
      : parameter(std::move(start)),
        m(parameter.size()),
        v(parameter.size()),
        m_absmax((parameter.size() + 255) / 256),
        v_absmax(m_absmax.size()) {}
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(parameter.size()); }
  EightBitMoments moments() { return {{m.data(), m_absmax.data()}, {v.data(), v_absmax.data()}}; }

  std::vector<float> parameter;
  std::vector<uint8_t> m, v;
  std::vector<float> m_absmax, v_absmax;
};

void expect_same_weights(const Weights& actual, const Weights& expected) {
  expect_same(actual.parameter, expected.parameter);
  expect_same(actual.m, expected.m);
  expect_same(actual.v, expected.v);
  expect_same(actual.m_absmax, expected.m_absmax);
  expect_same(actual.v_absmax, expected.v_absmax);
}

/// Whether the chosen instruction set has a product and sum of one rounding. Where it has none, a mean is rounded once
/// more, and its code may be the next one.
bool fuses_products() {
  const AdamWStep step = adamw_step(0, 0.9, 0.99, 1e-8, 0, 1, 1);
  const float first = 1;
  Weights weights({0});
  adamw_8bit(weights.parameter.data(), &first, weights.moments(), 1, step);
  const float left = weights.m_absmax[0] * step.beta1;
  float second = 0.5F;
  const auto fused = [&] { return std::fma(second, step.one_minus_beta1, left); };
  while (fused() == second * step.one_minus_beta1 + left) second *= 1.01F;
  adamw_8bit(weights.parameter.data(), &second, weights.moments(), 1, step);
  return weights.m_absmax[0] == fused();
}

std::vector<float> gradient_of(const Json& oracle, int64_t step) {
  auto g = uniform(oracle["count"], static_cast<uint32_t>(100 + step));
  float unit = 1;
  for (int64_t i = 0; i < step; ++i) unit *= 0.125F;
  for (float& value : g) value *= unit;
  if (!oracle["awkward"].get<bool>()) return g;
  std::fill(g.begin(), g.begin() + 256, 0.0F);
  g[300] = 1e3F;
  g[256 * 2 + 5] = nan_of<float>();
  g[256 * 3 + 7] = step == 3 ? infinity_of<float>() : 1e-30F;
  std::fill(g.begin() + 256 * 4, g.begin() + 256 * 5, 1e-42F);
  return g;
}

AdamWStep step_of(const Json& oracle, int64_t step) {
  return adamw_step(2e-3, oracle["beta1"], oracle["beta2"], oracle["epsilon"], oracle["weight_decay"], step,
                    oracle["gradient_scale"]);
}

/// @param update as kernels::adamw_8bit on fp32 weights
template <typename Function>
void follow_bitsandbytes(const Json& oracle, Function update) {
  SCOPED_TRACE(oracle["count"].get<int64_t>());
  Weights weights(uniform(oracle["count"], 50));
  int64_t count = 0;
  for (const Json& step : oracle["steps"]) {
    SCOPED_TRACE(++count);
    const auto g = gradient_of(oracle, count);
    update(weights.parameter.data(), g.data(), weights.moments(), weights.count(), step_of(oracle, count));
    expect_close(weights.parameter, from_hex<float>(step["parameter"]), 2);  // MKL's square root is rounded otherwise
    expect_same(weights.m, from_hex<uint8_t>(step["exp_avg"]));
    expect_same(weights.v, from_hex<uint8_t>(step["exp_avg_sq"]));
    expect_same(weights.m_absmax, from_hex<float>(step["exp_avg_absmax"]));
    expect_same(weights.v_absmax, from_hex<float>(step["exp_avg_sq_absmax"]));
  }
}

TEST(AdamW8bitRange, HasTheCodesAndScalesOfBitsandbytes) {
  const Json oracle = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/optimizer_8bit.json");
  for (const Json& one : oracle["updates"]) {
    follow_bitsandbytes(one, [](auto... arguments) { reference::adamw_8bit(arguments...); });
    for_each_target([&] {
      if (fuses_products()) follow_bitsandbytes(one, [](auto... arguments) { adamw_8bit(arguments...); });
    });
  }
}

TEST(AdamW8bitRange, AgreesWithTheReference) {
  for_each_target([] {
    const bool fused = fuses_products();
    for (const int64_t count : {1, 15, 17, 255, 256, 257, 256 * 5 + 100}) {
      Weights ours(random_values<float>(count, 1)), expected = ours;
      for (int64_t t = 1; t <= 4; ++t) {
        const auto g = random_values<float>(count, static_cast<uint32_t>(10 + t), t == 3 ? 1e-3 : 1);
        const AdamWStep step = adamw_step(1e-2, 0.9, 0.999, 1e-8, 0.1, t, 0.3);
        if (!fused) ours = expected;  // one update's rounding only
        adamw_8bit(ours.parameter.data(), g.data(), ours.moments(), count, step);
        reference::adamw_8bit(expected.parameter.data(), g.data(), expected.moments(), count, step);
        if (fused) {
          expect_same_weights(ours, expected);
          continue;
        }
        expect_close(ours.parameter, expected.parameter);
        expect_close(ours.m_absmax, expected.m_absmax);
        expect_same(ours.v, expected.v);
        for (size_t i = 0; i < ours.m.size(); ++i) EXPECT_LE(std::abs(ours.m[i] - expected.m[i]), 1);
      }
    }
  });
}

template <typename T>
void compare_split_weights() {
  constexpr int64_t kCount = 256 * 40 + 11;
  auto start = random_values<float>(kCount, 1);
  for (float& value : start) value = bf16_to_float(float_to_bf16(value));
  Weights plain(start), split(start);
  std::vector<Bf16> rounded(start.size());
  std::vector<int16_t> rest(start.size());
  split_master(start.data(), {rounded.data(), rest.data()}, kCount);
  int64_t nudged = 0;
  for (int64_t t = 1; t <= 3; ++t) {
    const auto g = random_values<T>(kCount, static_cast<uint32_t>(10 + t));
    std::vector<float> wide_g;
    for (const T value : g) wide_g.push_back(static_cast<float>(reference::wide(value)));
    const AdamWStep step = adamw_step(1e-3, 0.9, 0.99, 1e-8, 0.1, t, 0.5);
    adamw_8bit(plain.parameter.data(), wide_g.data(), plain.moments(), kCount, step);
    adamw_8bit(SplitMaster{rounded.data(), rest.data()}, g.data(), split.moments(), kCount, step);
    join_master(rounded.data(), rest.data(), split.parameter.data(), kCount);
    // But for what two halves cannot hold, one value in 131,072 (split_master_test.cpp).
    for (size_t i = 0; i < start.size(); ++i) nudged += plain.parameter[i] == split.parameter[i] ? 0 : 1;
    expect_close(split.parameter, plain.parameter, 1);
    plain.parameter = split.parameter;
  }
  EXPECT_LE(nudged, 3);
  expect_same_weights(split, plain);
}

TEST(AdamW8bitRange, SplitWeightsHaveTheMomentsOfPlainOnes) {
  for_each_target([] {
    compare_split_weights<float>();
    compare_split_weights<Bf16>();
  });
}

}  // namespace
}  // namespace lathe::kernels
