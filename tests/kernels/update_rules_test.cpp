// Each rule beside its formula in double, over counts that are no multiple of a vector and ranges that begin anywhere.
#include "kernels/update_rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "base/dtype.h"

namespace lathe::kernels {
namespace {

using Floats = std::vector<float>;

/// Weights, gradients and three states of a range; states are positive, as sums of squares are.
struct Range {
  Floats weight, gradient, first, second, third;
};

Range draw(size_t count) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::normal_distribution<float> normal;
  Range range;
  for (Floats* values : {&range.weight, &range.gradient, &range.first, &range.second, &range.third}) {
    for (size_t i = 0; i < count; ++i) values->push_back(normal(random));
  }
  for (float& value : range.first) value = 1.1F + std::abs(value) * value * value;
  return range;
}

/// One element in double, in the same places.
struct Element {
  double w, g, first, second, third;
};

/// @param rule on the floats from `begin` on  @param formula on each element from there on
void expect_formula(const std::function<void(Range&, size_t begin, int64_t count)>& rule,
                    const std::function<void(Element&)>& formula) {
  for (const size_t count : {1U, 2U, 7U, 64U, 1003U}) {
    for (const size_t begin : {size_t{0}, count / 3}) {
      Range ours = draw(count);
      const Range before = ours;
      rule(ours, begin, static_cast<int64_t>(count - begin));
      for (size_t i = 0; i < count; ++i) {
        Element one{before.weight[i], before.gradient[i], before.first[i], before.second[i], before.third[i]};
        if (i >= begin) formula(one);
        EXPECT_NEAR(ours.weight[i], one.w, 4e-6 * (1 + std::abs(one.w))) << count << " from " << begin << " at " << i;
        EXPECT_NEAR(ours.first[i], one.first, 2e-6 * (1 + std::abs(one.first)));
        EXPECT_NEAR(ours.second[i], one.second, 2e-6 * (1 + std::abs(one.second)));
        EXPECT_NEAR(ours.third[i], one.third, 4e-6 * (1 + std::abs(one.third)));
      }
    }
  }
}

TEST(UpdateRules, Sgd) {
  for (const bool nesterov : {false, true}) {
    const SgdStep step{.rate = 0.1F, .decay = 0.2F, .momentum = 0.9F, .share = 0.75F, .nesterov = nesterov};
    expect_formula([&](Range& r, size_t at, int64_t n) { sgd(&r.weight[at], &r.gradient[at], &r.second[at], n, step); },
                   [&](Element& e) {
                     const double g = e.g + 0.2 * e.w;
                     e.second = 0.9 * e.second + 0.75 * g;
                     e.w -= 0.1 * (nesterov ? g + 0.9 * e.second : e.second);
                   });
    expect_formula([&](Range& r, size_t at, int64_t n) { sgd(&r.weight[at], &r.gradient[at], nullptr, n, step); },
                   [](Element& e) { e.w -= 0.1 * (e.g + 0.2 * e.w); });
  }
}

TEST(UpdateRules, Adagrad) {
  const AdagradStep step{.rate = 0.1F, .decay = 0.2F, .epsilon = 0.01F};
  expect_formula(
      [&](Range& r, size_t at, int64_t n) { adagrad(&r.weight[at], &r.gradient[at], &r.first[at], n, step); },
      [](Element& e) {
        const double g = e.g + 0.2 * e.w;
        e.first += g * g;
        e.w -= 0.1 * g / (std::sqrt(e.first) + 0.01);
      });
}

TEST(UpdateRules, Rmsprop) {
  const RmspropStep step{
      .rate = 0.1F, .decay = 0.2F, .epsilon = 0.01F, .alpha = 0.75F, .one_minus_alpha = 0.25F, .momentum = 0.5F};
  for (const bool centered : {false, true}) {
    for (const bool momentum : {false, true}) {
      expect_formula(
          [&](Range& r, size_t at, int64_t n) {
            for (size_t i = at; i < r.second.size(); ++i)
              r.second[i] *= 0.1F;  // a mean's square is below the mean of squares
            rmsprop(&r.weight[at], &r.gradient[at], &r.first[at], centered ? &r.second[at] : nullptr,
                    momentum ? &r.third[at] : nullptr, n, step);
          },
          [&](Element& e) {
            const double g = e.g + 0.2 * e.w;
            double s = e.first = 0.75 * e.first + 0.25 * g * g;
            e.second *= 0.1F;
            if (centered) e.second += 0.25 * (g - e.second), s -= e.second * e.second;
            double change = g / (std::sqrt(s) + 0.01);
            if (momentum) change = e.third = 0.5 * e.third + change;
            e.w -= 0.1 * change;
          });
    }
  }
}

TEST(UpdateRules, Lion) {
  const LionStep step{
      .rate = 0.1F, .kept = 0.98F, .beta1 = 0.75F, .one_minus_beta1 = 0.25F, .beta2 = 0.5F, .one_minus_beta2 = 0.5F};
  expect_formula([&](Range& r, size_t at, int64_t n) { lion(&r.weight[at], &r.gradient[at], &r.second[at], n, step); },
                 [](Element& e) {
                   e.w = 0.98 * e.w - std::copysign(0.1, 0.75 * e.second + 0.25 * e.g);
                   e.second = 0.5 * e.second + 0.5 * e.g;
                 });
  float weight[2] = {1, 2}, mean[2] = {0, -0.0F};
  const float gradient[2] = {0, 0};
  lion(weight, gradient, mean, 2, step);
  EXPECT_EQ(weight[0], 0.98F);  // without a sign only the decay moves it
  EXPECT_EQ(weight[1], 1.96F);
}

TEST(UpdateRules, Adam) {
  const AdamWStep step{.one_minus_beta1 = 0.25F,
                       .beta2 = 0.5F,
                       .one_minus_beta2 = 0.5F,
                       .step_size = 0.1F,
                       .root_correction2 = 0.5F,
                       .epsilon = 0.01F};
  expect_formula([&](Range& r, size_t at,
                     int64_t n) { adam(&r.weight[at], &r.gradient[at], &r.second[at], &r.first[at], n, step, 0.2F); },
                 [](Element& e) {
                   const double g = e.g + 0.2 * e.w;
                   e.second += 0.25 * (g - e.second);
                   e.first = 0.5 * e.first + 0.5 * g * g;
                   e.w -= 0.1 * e.second / (std::sqrt(e.first) / 0.5 + 0.01);
                 });
}

TEST(UpdateRules, AdEMAMix) {
  const AdEMAMixStep step{.rate = 0.1F,
                          .kept = 0.98F,
                          .beta1 = 0.75F,
                          .one_minus_beta1 = 0.25F,
                          .beta2 = 0.5F,
                          .one_minus_beta2 = 0.5F,
                          .beta3 = 0.875F,
                          .one_minus_beta3 = 0.125F,
                          .alpha = 2,
                          .correction1 = 0.25F,
                          .root_correction2 = 0.5F,
                          .epsilon = 0.01F};
  expect_formula(
      [&](Range& r, size_t at, int64_t n) {
        ademamix(&r.weight[at], &r.gradient[at], &r.second[at], &r.third[at], &r.first[at], n, step);
      },
      [](Element& e) {
        e.second = 0.75 * e.second + 0.25 * e.g;
        e.third = 0.875 * e.third + 0.125 * e.g;
        e.first = 0.5 * e.first + 0.5 * e.g * e.g;
        e.w = 0.98 * e.w - 0.1 * (e.second / 0.25 + 2 * e.third) / (std::sqrt(e.first) / 0.5 + 0.01);
      });
}

TEST(UpdateRules, PartsOfAdafactor) {
  expect_formula(
      [](Range& r, size_t at, int64_t n) {
        scaled_step(&r.weight[at], &r.gradient[at], &r.second[at], n, 0.98F, 0.1F);
        multiply(&r.third[at], &r.second[at], n);
      },
      [](Element& e) {
        e.w = 0.98 * e.w - 0.1 * e.g * e.second;
        e.third *= e.second;
      });
  const Range range = draw(1003);
  std::vector<double> sums(1003, 2);
  add_squares(range.gradient.data(), sums.data(), 1003);
  for (size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i], 2 + std::pow(double{range.gradient[i]}, 2));
}

TEST(UpdateRules, GradientsOfBothTypesAreScaled) {
  const Range range = draw(1003);
  std::vector<Bf16> narrow;
  for (const float value : range.gradient) narrow.push_back(float_to_bf16(value));
  Floats from_float(1003), from_bf16(1003);
  scale_gradient(range.gradient.data(), 0.3F, from_float.data(), 1003);
  scale_gradient(narrow.data(), 0.3F, from_bf16.data(), 1003);
  for (size_t i = 0; i < narrow.size(); ++i) {
    EXPECT_EQ(from_float[i], range.gradient[i] * 0.3F);
    EXPECT_EQ(from_bf16[i], bf16_to_float(narrow[i]) * 0.3F);
  }
}

}  // namespace
}  // namespace lathe::kernels
