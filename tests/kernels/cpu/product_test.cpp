#include "kernels/product.h"

#include "kernels/kernel_test.h"

namespace lathe::kernels {
namespace {

enum class Lies { kByRow, kByColumn };

struct Case {
  int64_t rows, depth, columns;
  Lies a, b;
};

// Whole tiles; rows, columns and depths that end inside of one or fill no whole one, as those of narrow adapters;
// depths of one piece and of several, with few rows and many; depths that end inside of a pair, and rows that begin
// inside of one; more rows and columns than a panel has.
constexpr Case kCases[] = {
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

/// Factors with more between their rows than they need, and what y holds before.
struct Problem {
  explicit Problem(const Case& one) : of(one) {
    a = random_values<Bf16>(a_stride() * (one.a == Lies::kByRow ? one.rows : one.depth), 1);
    b = random_values<Bf16>(b_stride() * (one.b == Lies::kByRow ? one.depth : one.columns), 2);
    y = random_values<Bf16>(y_stride() * one.rows, 3);
    bias = random_values<Bf16>(one.columns, 4);
  }
  int64_t a_stride() const { return (of.a == Lies::kByRow ? of.depth : of.rows) + 6; }
  int64_t b_stride() const { return (of.b == Lies::kByRow ? of.columns : of.depth) + 3; }
  int64_t y_stride() const { return of.columns + 5; }

  Bf16Product product(std::vector<Bf16>& into, bool add, bool with_bias) const {
    Bf16Product p{.rows = of.rows, .depth = of.depth, .columns = of.columns, .a = a.data(), .b = b.data()};
    p.a_row = of.a == Lies::kByRow ? a_stride() : 1;
    p.a_column = of.a == Lies::kByRow ? 1 : a_stride();
    p.b_row = of.b == Lies::kByRow ? b_stride() : 1;
    p.b_column = of.b == Lies::kByRow ? 1 : b_stride();
    p.y = into.data();
    p.y_row = y_stride();
    p.add = add;
    p.bias = with_bias ? bias.data() : nullptr;
    return p;
  }

  Case of;
  std::vector<Bf16> a, b, y, bias;
};

void run(const Bf16Product& product, const ProductPart& part) {
  std::vector<float> workspace(static_cast<size_t>(kProductWorkspace));
  multiply_in_tiles(product, part, workspace.data());
}

void run(const Bf16Product& product) {
  run(product, {0, product.rows, 0, product.columns});
}

/// Each element within one rounding, and what a sum of K fp32 products loses, of the exact one.
void expect_rounded_once(const Problem& problem, const Bf16Product& p, const std::vector<Bf16>& before) {
  for (int64_t m = 0; m < p.rows; ++m) {
    for (int64_t n = 0; n < p.columns; ++n) {
      const auto at = static_cast<size_t>(m * p.y_row + n);
      double exact = p.add ? reference::wide(before[at]) : p.bias != nullptr ? reference::wide(p.bias[n]) : 0;
      double magnitude = std::abs(exact);
      for (int64_t k = 0; k < p.depth; ++k) {
        const double term = double{reference::wide(p.a[m * p.a_row + k * p.a_column])} *
                            reference::wide(p.b[k * p.b_row + n * p.b_column]);
        exact += term;
        magnitude += std::abs(term);
      }
      ASSERT_LE(std::abs(reference::wide(p.y[m * p.y_row + n]) - exact),
                0x1.02p-8 * std::abs(exact) + magnitude * 0x1p-22)
          << problem.of.rows << ' ' << problem.of.depth << ' ' << problem.of.columns << " at " << m << ' ' << n;
    }
    for (int64_t n = p.columns; n < p.y_row; ++n) {
      const auto at = static_cast<size_t>(m * p.y_row + n);
      ASSERT_EQ(p.y[at], before[at]) << "written behind row " << m;
    }
  }
}

class ProductInTiles : public ::testing::Test {
 protected:
  void SetUp() override {
    Problem problem(kCases[0]);
    if (!multiplies_in_tiles(problem.product(problem.y, false, false))) GTEST_SKIP() << "no AMX here";
  }
};

TEST_F(ProductInTiles, IsRoundedOnce) {
  for (const Case& one : kCases) {
    const Problem problem(one);
    for (const bool add : {false, true}) {
      std::vector<Bf16> y = problem.y;
      const Bf16Product product = problem.product(y, add, !add && one.depth % 64 == 0);
      ASSERT_TRUE(multiplies_in_tiles(product));
      run(product);
      expect_rounded_once(problem, product, problem.y);
    }
  }
}

TEST_F(ProductInTiles, PartsAreTheWhole) {
  for (const Case& one : kCases) {
    const Problem problem(one);
    std::vector<Bf16> whole = problem.y, by_rows = problem.y, by_columns = problem.y;
    run(problem.product(whole, true, false));
    for (int64_t m = 0; m < one.rows; m += kProductUnit) {
      run(problem.product(by_rows, true, false), {m, std::min(kProductUnit, one.rows - m), 0, one.columns});
    }
    for (int64_t n = 0; n < one.columns; n += kProductUnit) {
      run(problem.product(by_columns, true, false), {0, one.rows, n, std::min(kProductUnit, one.columns - n)});
    }
    EXPECT_EQ(whole, by_rows);
    EXPECT_EQ(whole, by_columns);
  }
}

TEST_F(ProductInTiles, NanAndInfinityReachTheirRowAndColumnAlone) {
  for (const Case& one : {kCases[1], kCases[6], kCases[11], kCases[12], kCases[13], kCases[14], kCases[19]}) {
    Problem problem(one);
    std::vector<Bf16> clean = problem.y, y = problem.y;
    run(problem.product(clean, false, false));
    const Bf16Product product = problem.product(y, false, false);
    const int64_t row = one.rows - 1, column = 3;
    problem.a[static_cast<size_t>(row * product.a_row)] = 0x7fc0;                            // NaN
    problem.b[static_cast<size_t>(column * product.b_column + 2 * product.b_row)] = 0x7f80;  // infinity
    run(product);
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

TEST(ProductThatDoesNotFitTiles, IsRefused) {
  for (const Case& one : {Case{7, 32, 32, Lies::kByRow, Lies::kByRow}, Case{32, 32, 7, Lies::kByRow, Lies::kByRow}}) {
    Problem problem(one);
    EXPECT_FALSE(multiplies_in_tiles(problem.product(problem.y, false, false)));
  }
  Problem problem(kCases[0]);
  Bf16Product apart = problem.product(problem.y, false, false);
  apart.b_column = 2;
  apart.b_row = 64;
  EXPECT_FALSE(multiplies_in_tiles(apart));
}

}  // namespace
}  // namespace lathe::kernels
