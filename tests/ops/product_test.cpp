#include "ops/product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/processor.h"
#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;

/// Half a unit in the last place of the type, at most, relative to the value.
double half_unit(at::ScalarType type) {
  return type == at::kBFloat16 ? 0x1p-8 : 0x1p-11;
}

/// Every element within one rounding, and what sums of K fp32 products lose, of the exact product.
void expect_rounded_once(const at::Tensor& y, const at::Tensor& exact, const at::Tensor& magnitudes) {
  const at::Tensor bound = exact.abs() * (1.01 * half_unit(y.scalar_type())) + magnitudes * 0x1p-22;
  EXPECT_TRUE((y.to(at::kDouble) - exact).abs().le(bound).all().item<bool>());
}

struct Shape {
  int64_t m, k, n;
};

// Threads with columns and threads with rows, the last with less than a unit, and some with nothing.
constexpr Shape kShapes[] = {{1, 1, 1}, {5, 12, 7}, {3, 2050, 9}, {1030, 40, 33}, {9, 40, 1100}, {1025, 2049, 1025}};

TEST(Product, WidenedIsRoundedOnce) {
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    for (const Shape& s : kShapes) {
      // Factors as they come: in the order of rows, and turned.
      const at::Tensor a = draw({s.k, s.m}, 1).to(type).t(), b = draw({s.n, s.k}, 2).to(type).t(),
                       before = draw({s.m, s.n}, 3).to(type);
      const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
      const at::Tensor magnitudes = at::mm(a.to(at::kDouble).abs(), b.to(at::kDouble).abs());
      for (const bool turned : {true, false}) {
        SCOPED_TRACE(::testing::Message() << s.m << ' ' << s.k << ' ' << s.n << ' ' << turned);
        const at::Tensor left = turned ? a : a.contiguous(), right = turned ? b : b.contiguous();
        const at::Tensor y = at::empty_like(before), sum = before.clone();
        widened_product_into(y, left, right, {});
        expect_rounded_once(y, exact, magnitudes);
        widened_product_into(sum, left, right, {.y = true});
        expect_rounded_once(sum, exact + before.to(at::kDouble), magnitudes + before.to(at::kDouble).abs());
      }
    }
  }
}

TEST(Product, WidenedWritesItsPlaceAlone) {
  const at::Tensor whole = at::full({4, 10}, 7, at::kBFloat16), ones = at::ones({4, 3}, at::kBFloat16);
  widened_product_into(whole.narrow(1, 2, 5), ones, at::ones({3, 5}, at::kBFloat16), {});
  EXPECT_TRUE(whole.narrow(1, 2, 5).eq(3).all().item<bool>());
  EXPECT_TRUE(whole.narrow(1, 0, 2).eq(7).all().item<bool>());
  EXPECT_TRUE(whole.narrow(1, 7, 3).eq(7).all().item<bool>());
}

/// Infinity and NaN come through; what is beyond the largest half is infinite.
TEST(Product, WidenedOverflowsAsTheTypeDoes) {
  at::Tensor a = at::ones({3, 2}, at::kHalf), b = at::full({2, 1}, 60000, at::kHalf);
  a[1][0] = std::numeric_limits<double>::quiet_NaN();
  a[2].zero_();
  const at::Tensor y = at::empty({3, 1}, at::kHalf);
  widened_product_into(y, a, b, {});
  EXPECT_TRUE(std::isinf(y[0].item<float>()));
  EXPECT_TRUE(std::isnan(y[1].item<float>()));
  EXPECT_EQ(y[2].item<float>(), 0);
}

/// Factors and a place whose neighbours lie apart, or of one row or column with a stride that says nothing.
TEST(Product, AnyStridesWillDo) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor a = draw({10, 24}, 1).to(type).slice(0, 0, 10, 2).slice(1, 0, 24, 2);
    const at::Tensor b = draw({24, 14}, 2).to(type).slice(0, 0, 24, 2).slice(1, 0, 14, 2);
    const double bound = type == at::kFloat ? 1e-6 : 4 * half_unit(type);
    for (const at::Tensor& left : {a, a.narrow(0, 3, 1), a.narrow(1, 2, 1)}) {
      for (const at::Tensor& right : {b, b.narrow(1, 2, 1), b.narrow(1, 1, 5)}) {
        const at::Tensor factor = right.narrow(0, 0, left.size(1));
        const at::Tensor place = at::zeros({2 * factor.size(1), left.size(0)}, type).t().slice(1, 0, c10::nullopt, 2);
        product_into(place, left, factor, true);
        EXPECT_LE(testing::relative(place, at::mm(left.to(at::kDouble), factor.to(at::kDouble))), bound);
      }
    }
  }
}

TEST(Product, IsWhatTheProcessorDoesOrWidened) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor a = draw({5, 12}, 1).to(type), b = draw({12, 7}, 2).to(type), y = draw({5, 7}, 3).to(type);
    const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
    const double bound = type == at::kFloat ? 1e-6 : 4 * half_unit(type);
    EXPECT_LE(testing::relative(product(a, b), exact), bound);
    const at::Tensor sum = y.clone();
    product_into(sum, a, b, true);
    EXPECT_LE(testing::relative(sum, exact + y.to(at::kDouble)), bound);
  }
  EXPECT_FALSE(widens(at::ones({1}, at::kFloat)));
  EXPECT_EQ(widens(at::ones({1}, at::kBFloat16)), !multiplies(DType::kBF16));
  EXPECT_EQ(widens(at::ones({1}, at::kHalf)), !multiplies(DType::kF16));
}

}  // namespace
}  // namespace lathe::ops
