#pragma once
// What the products of kernels/product.h have to hold, whichever way they go. A way has a Type, what the processor is
// missing() for it or null, the units that parts begin at, and run(product, part).
#include "kernels/kernel_test.h"
#include "kernels/product.h"

namespace lathe::kernels {

enum class Lies { kByRow, kByColumn };

struct Case {
  int64_t rows, depth, columns;
  Lies a, b;
};

// Whole tiles; rows, columns and depths that end inside of one or fill no whole one, as those of narrow adapters;
// depths of one piece and of several, with few rows and many; depths that end inside of a pair, and rows that begin
// inside of one; more rows and columns than a panel has.
inline constexpr Case kCases[] = {
    {32, 32, 32, Lies::kByRow, Lies::kByRow},       {33, 64, 96, Lies::kByRow, Lies::kByColumn},
    {100, 2112, 160, Lies::kByRow, Lies::kByRow},   {63, 2080, 32, Lies::kByRow, Lies::kByColumn},
    {1061, 96, 288, Lies::kByRow, Lies::kByColumn}, {64, 1, 128, Lies::kByColumn, Lies::kByRow},
    {47, 387, 160, Lies::kByColumn, Lies::kByRow},  {96, 2051, 64, Lies::kByColumn, Lies::kByColumn},
    {1056, 33, 32, Lies::kByColumn, Lies::kByRow},  {290, 1088, 288, Lies::kByRow, Lies::kByColumn},
    {320, 1090, 64, Lies::kByColumn, Lies::kByRow}, {201, 96, 16, Lies::kByRow, Lies::kByColumn},
    {201, 16, 96, Lies::kByRow, Lies::kByColumn},   {16, 201, 96, Lies::kByColumn, Lies::kByRow},
    {8, 33, 8, Lies::kByRow, Lies::kByRow},         {31, 1100, 545, Lies::kByRow, Lies::kByColumn},
    {290, 1061, 41, Lies::kByColumn, Lies::kByRow}, {9, 2051, 49, Lies::kByColumn, Lies::kByColumn},
    {33, 7, 23, Lies::kByRow, Lies::kByRow},        {40, 63, 530, Lies::kByRow, Lies::kByRow},
};

/// With more between their rows than they need.
template <typename T>
struct Matrices {
  Matrices(const Case& one, uint32_t seed) : of(one) {
    a = random_values<T>(a_stride() * (one.a == Lies::kByRow ? one.rows : one.depth), seed);
    b = random_values<T>(b_stride() * (one.b == Lies::kByRow ? one.depth : one.columns), seed + 1);
  }
  int64_t a_stride() const { return (of.a == Lies::kByRow ? of.depth : of.rows) + 6; }
  int64_t b_stride() const { return (of.b == Lies::kByRow ? of.columns : of.depth) + 3; }

  FactorsOf<T> factors() const {
    FactorsOf<T> f{.rows = of.rows, .depth = of.depth, .columns = of.columns, .a = a.data(), .b = b.data()};
    f.a_row = of.a == Lies::kByRow ? a_stride() : 1;
    f.a_column = of.a == Lies::kByRow ? 1 : a_stride();
    f.b_row = of.b == Lies::kByRow ? b_stride() : 1;
    f.b_column = of.b == Lies::kByRow ? 1 : b_stride();
    return f;
  }

  Case of;
  std::vector<T> a, b;
};

/// Two pairs of factors, the second as an adapter's lie in forward and backward, and what y holds before.
template <typename T>
struct Problem {
  explicit Problem(const Case& one, int64_t beside_depth = 64)
      : of(one),
        main(one, 1),
        beside({one.rows, beside_depth, one.columns, Lies::kByRow, one.b}, 5),
        y(random_values<T>(y_stride() * one.rows, 3)),
        bias(random_values<T>(one.columns, 4)) {}
  int64_t y_stride() const { return of.columns + 5; }

  ProductOf<T> product(std::vector<T>& into, bool add, bool with_bias, bool with_beside = false) const {
    ProductOf<T> p{.factors = main.factors(), .y = into.data(), .y_row = y_stride(), .add = add};
    if (with_beside) p.beside = beside.factors();
    if (with_bias) p.bias = bias.data();
    return p;
  }

  Case of;
  Matrices<T> main, beside;
  std::vector<T> y, bias;
};

/// [outer][K] of one factor, in double.
template <typename T>
std::vector<double> widened(const T* from, int64_t outer, int64_t stride, int64_t depth, int64_t depth_stride) {
  std::vector<double> wide;
  wide.reserve(static_cast<size_t>(outer * depth));
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t k = 0; k < depth; ++k) wide.push_back(reference::wide(from[i * stride + k * depth_stride]));
  }
  return wide;
}

/// Each element within one rounding, and what a sum of K fp32 products loses, of the exact one of these factors and of
/// what was there before or the bias.
template <typename T>
void expect_rounded_once(const Problem<T>& problem, const ProductOf<T>& p, const FactorsOf<T>& f,
                         const std::vector<T>& before) {
  const std::vector<double> a = widened(f.a, f.rows, f.a_row, f.depth, f.a_column);
  const std::vector<double> b = widened(f.b, f.columns, f.b_column, f.depth, f.b_row);
  for (int64_t m = 0; m < p.factors.rows; ++m) {
    for (int64_t n = 0; n < p.factors.columns; ++n) {
      const auto at = static_cast<size_t>(m * p.y_row + n);
      double exact = p.add ? reference::wide(before[at]) : p.bias != nullptr ? reference::wide(p.bias[n]) : 0;
      double magnitude = std::abs(exact);
      for (int64_t k = 0; k < f.depth; ++k) {
        const double term = a[static_cast<size_t>(m * f.depth + k)] * b[static_cast<size_t>(n * f.depth + k)];
        exact += term;
        magnitude += std::abs(term);
      }
      ASSERT_LE(std::abs(reference::wide(p.y[m * p.y_row + n]) - exact),
                (std::is_same_v<T, Bf16> ? 0x1.02p-8 : 0x1.02p-11) * std::abs(exact) + magnitude * 0x1p-22)
          << problem.of.rows << ' ' << problem.of.depth << ' ' << problem.of.columns << " at " << m << ' ' << n;
    }
    for (int64_t n = p.factors.columns; n < p.y_row; ++n) {
      const auto at = static_cast<size_t>(m * p.y_row + n);
      ASSERT_EQ(p.y[at], before[at]) << "written behind row " << m;
    }
  }
}

template <typename Way>
class ProductBy : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* missing = Way::missing()) GTEST_SKIP() << "no " << missing << " here";
  }

  static void run(const ProductOf<typename Way::Type>& product) {
    Way::run(product, {0, product.factors.rows, 0, product.factors.columns});
  }
};
TYPED_TEST_SUITE_P(ProductBy);

TYPED_TEST_P(ProductBy, IsRoundedOnce) {
  using Type = typename TypeParam::Type;
  for (const Case& one : kCases) {
    const Problem<Type> problem(one);
    for (const bool add : {false, true}) {
      std::vector<Type> y = problem.y;
      const auto product = problem.product(y, add, !add && one.depth % 64 == 0);
      this->run(product);
      expect_rounded_once(problem, product, product.factors, problem.y);
    }
  }
}

/// With ranks of whole tiles and of parts of one, and a depth of several pieces: what is there before the second
/// product is what a call without it leaves.
TYPED_TEST_P(ProductBy, ASecondProductIsAddedToTheRoundedFirst) {
  using Type = typename TypeParam::Type;
  for (const Case& one : kCases) {
    for (const int64_t rank : {1, 8, 33, 64, 1100}) {
      const Problem<Type> problem(one, rank);
      for (const bool add : {false, true}) {
        std::vector<Type> first = problem.y, y = problem.y;
        this->run(problem.product(first, add, !add));
        auto product = problem.product(y, add, !add, true);
        this->run(product);
        product.add = true;
        expect_rounded_once(problem, product, product.beside, first);
      }
    }
  }
}

TYPED_TEST_P(ProductBy, PartsAreTheWhole) {
  using Type = typename TypeParam::Type;
  constexpr int64_t kRows = TypeParam::kRowUnit, kColumns = TypeParam::kColumnUnit;
  for (const Case& one : kCases) {
    for (const bool beside : {false, true}) {
      const Problem<Type> problem(one);
      std::vector<Type> whole = problem.y, by_rows = problem.y, by_columns = problem.y;
      this->run(problem.product(whole, true, false, beside));
      for (int64_t m = 0; m < one.rows; m += kRows) {
        TypeParam::run(problem.product(by_rows, true, false, beside),
                       {m, std::min(kRows, one.rows - m), 0, one.columns});
      }
      for (int64_t n = 0; n < one.columns; n += kColumns) {
        TypeParam::run(problem.product(by_columns, true, false, beside),
                       {0, one.rows, n, std::min(kColumns, one.columns - n)});
      }
      EXPECT_EQ(whole, by_rows);
      EXPECT_EQ(whole, by_columns);
    }
  }
}

TYPED_TEST_P(ProductBy, NanAndInfinityReachTheirRowAndColumnAlone) {
  using Type = typename TypeParam::Type;
  for (const Case& one : {kCases[1], kCases[6], kCases[11], kCases[12], kCases[13], kCases[14], kCases[19]}) {
    Problem<Type> problem(one);
    std::vector<Type> clean = problem.y, y = problem.y;
    this->run(problem.product(clean, false, false));
    const auto product = problem.product(y, false, false);
    const int64_t row = one.rows - 1, column = 3;
    const FactorsOf<Type>& of = product.factors;
    problem.main.a[static_cast<size_t>(row * of.a_row)] = nan_of<Type>();
    problem.main.b[static_cast<size_t>(column * of.b_column + 2 * of.b_row)] = infinity_of<Type>();
    this->run(product);
    for (int64_t m = 0; m < one.rows; ++m) {
      for (int64_t n = 0; n < one.columns; ++n) {
        const auto at = static_cast<size_t>(m * product.y_row + n);
        if (m == row) {
          EXPECT_TRUE(std::isnan(reference::wide(y[at])));
        } else if (n == column) {
          EXPECT_TRUE(std::isinf(reference::wide(y[at])));
        } else {
          EXPECT_EQ(y[at], clean[at]);
        }
      }
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(ProductBy, IsRoundedOnce, ASecondProductIsAddedToTheRoundedFirst, PartsAreTheWhole,
                            NanAndInfinityReachTheirRowAndColumnAlone);

}  // namespace lathe::kernels
