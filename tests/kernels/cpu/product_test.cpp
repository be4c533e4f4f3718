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

/// With more between their rows than they need.
struct Matrices {
  Matrices(const Case& one, uint32_t seed) : of(one) {
    a = random_values<Bf16>(a_stride() * (one.a == Lies::kByRow ? one.rows : one.depth), seed);
    b = random_values<Bf16>(b_stride() * (one.b == Lies::kByRow ? one.depth : one.columns), seed + 1);
  }
  int64_t a_stride() const { return (of.a == Lies::kByRow ? of.depth : of.rows) + 6; }
  int64_t b_stride() const { return (of.b == Lies::kByRow ? of.columns : of.depth) + 3; }

  Bf16Factors factors() const {
    Bf16Factors f{.rows = of.rows, .depth = of.depth, .columns = of.columns, .a = a.data(), .b = b.data()};
    f.a_row = of.a == Lies::kByRow ? a_stride() : 1;
    f.a_column = of.a == Lies::kByRow ? 1 : a_stride();
    f.b_row = of.b == Lies::kByRow ? b_stride() : 1;
    f.b_column = of.b == Lies::kByRow ? 1 : b_stride();
    return f;
  }

  Case of;
  std::vector<Bf16> a, b;
};

/// Two pairs of factors, the second as an adapter's lie in forward and backward, and what y holds before.
struct Problem {
  explicit Problem(const Case& one, int64_t beside_depth = 64)
      : of(one),
        main(one, 1),
        beside({one.rows, beside_depth, one.columns, Lies::kByRow, one.b}, 5),
        y(random_values<Bf16>(y_stride() * one.rows, 3)),
        bias(random_values<Bf16>(one.columns, 4)) {}
  int64_t y_stride() const { return of.columns + 5; }

  Bf16Product product(std::vector<Bf16>& into, bool add, bool with_bias, bool with_beside = false) const {
    Bf16Product p{.factors = main.factors(), .y = into.data(), .y_row = y_stride(), .add = add};
    if (with_beside) p.beside = beside.factors();
    if (with_bias) p.bias = bias.data();
    return p;
  }

  Case of;
  Matrices main, beside;
  std::vector<Bf16> y, bias;
};

void run(const Bf16Product& product, const ProductPart& part) {
  std::vector<float> workspace(static_cast<size_t>(kProductWorkspace));
  multiply_in_tiles(product, part, workspace.data());
}

void run(const Bf16Product& product) {
  run(product, {0, product.factors.rows, 0, product.factors.columns});
}

/// Each element within one rounding, and what a sum of K fp32 products loses, of the exact one of these factors and of
/// what was there before or the bias.
void expect_rounded_once(const Problem& problem, const Bf16Product& p, const Bf16Factors& f,
                         const std::vector<Bf16>& before) {
  for (int64_t m = 0; m < p.factors.rows; ++m) {
    for (int64_t n = 0; n < p.factors.columns; ++n) {
      const auto at = static_cast<size_t>(m * p.y_row + n);
      double exact = p.add ? reference::wide(before[at]) : p.bias != nullptr ? reference::wide(p.bias[n]) : 0;
      double magnitude = std::abs(exact);
      for (int64_t k = 0; k < f.depth; ++k) {
        const double term = double{reference::wide(f.a[m * f.a_row + k * f.a_column])} *
                            reference::wide(f.b[k * f.b_row + n * f.b_column]);
        exact += term;
        magnitude += std::abs(term);
      }
      ASSERT_LE(std::abs(reference::wide(p.y[m * p.y_row + n]) - exact),
                0x1.02p-8 * std::abs(exact) + magnitude * 0x1p-22)
          << problem.of.rows << ' ' << problem.of.depth << ' ' << problem.of.columns << " at " << m << ' ' << n;
    }
    for (int64_t n = p.factors.columns; n < p.y_row; ++n) {
      const auto at = static_cast<size_t>(m * p.y_row + n);
      ASSERT_EQ(p.y[at], before[at]) << "written behind row " << m;
    }
  }
}

class ProductInTiles : public ::testing::Test {
 protected:
  void SetUp() override {
    Problem problem(kCases[0]);
    if (!multiplies_in_tiles(problem.main.factors())) GTEST_SKIP() << "no AMX here";
  }
};

TEST_F(ProductInTiles, IsRoundedOnce) {
  for (const Case& one : kCases) {
    const Problem problem(one);
    for (const bool add : {false, true}) {
      std::vector<Bf16> y = problem.y;
      const Bf16Product product = problem.product(y, add, !add && one.depth % 64 == 0);
      ASSERT_TRUE(multiplies_in_tiles(product.factors));
      run(product);
      expect_rounded_once(problem, product, product.factors, problem.y);
    }
  }
}

/// With ranks of whole tiles and of parts of one, and a depth of several pieces: what is there before the second
/// product is what a call without it leaves.
TEST_F(ProductInTiles, ASecondProductIsAddedToTheRoundedFirst) {
  for (const Case& one : kCases) {
    for (const int64_t rank : {1, 8, 33, 64, 1100}) {
      const Problem problem(one, rank);
      for (const bool add : {false, true}) {
        std::vector<Bf16> first = problem.y, y = problem.y;
        run(problem.product(first, add, !add));
        Bf16Product product = problem.product(y, add, !add, true);
        ASSERT_TRUE(multiplies_in_tiles(product.beside));
        run(product);
        product.add = true;
        expect_rounded_once(problem, product, product.beside, first);
      }
    }
  }
}

TEST_F(ProductInTiles, PartsAreTheWhole) {
  for (const Case& one : kCases) {
    for (const bool beside : {false, true}) {
      const Problem problem(one);
      std::vector<Bf16> whole = problem.y, by_rows = problem.y, by_columns = problem.y;
      run(problem.product(whole, true, false, beside));
      for (int64_t m = 0; m < one.rows; m += kProductUnit) {
        run(problem.product(by_rows, true, false, beside), {m, std::min(kProductUnit, one.rows - m), 0, one.columns});
      }
      for (int64_t n = 0; n < one.columns; n += kProductUnit) {
        run(problem.product(by_columns, true, false, beside),
            {0, one.rows, n, std::min(kProductUnit, one.columns - n)});
      }
      EXPECT_EQ(whole, by_rows);
      EXPECT_EQ(whole, by_columns);
    }
  }
}

TEST_F(ProductInTiles, NanAndInfinityReachTheirRowAndColumnAlone) {
  for (const Case& one : {kCases[1], kCases[6], kCases[11], kCases[12], kCases[13], kCases[14], kCases[19]}) {
    Problem problem(one);
    std::vector<Bf16> clean = problem.y, y = problem.y;
    run(problem.product(clean, false, false));
    const Bf16Product product = problem.product(y, false, false);
    const int64_t row = one.rows - 1, column = 3;
    const Bf16Factors& of = product.factors;
    problem.main.a[static_cast<size_t>(row * of.a_row)] = 0x7fc0;                       // NaN
    problem.main.b[static_cast<size_t>(column * of.b_column + 2 * of.b_row)] = 0x7f80;  // infinity
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
    EXPECT_FALSE(multiplies_in_tiles(Problem(one).main.factors()));
  }
  const Problem problem(kCases[0]);
  Bf16Factors apart = problem.main.factors();
  apart.b_column = 2;
  apart.b_row = 64;
  EXPECT_FALSE(multiplies_in_tiles(apart));
}

}  // namespace
}  // namespace lathe::kernels
