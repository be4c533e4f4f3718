#include "kernels/product.h"

#include "kernels/cpu/product_cases.h"

namespace lathe::kernels {
namespace {

struct ByTiles {
  using Type = Bf16;
  static constexpr int64_t kRowUnit = kProductUnit, kColumnUnit = kProductUnit;

  static const char* missing() {
    return multiplies_in_tiles(Problem<Bf16>(kCases[0]).main.factors()) ? nullptr : "AMX";
  }
  static void run(const Bf16Product& product, const ProductPart& part) {
    ASSERT_TRUE(multiplies_in_tiles(product.factors));
    ASSERT_TRUE(product.beside.depth == 0 || multiplies_in_tiles(product.beside));
    std::vector<float> workspace(static_cast<size_t>(kProductWorkspace));
    multiply_in_tiles(product, part, workspace.data());
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Tiles, ProductBy, ByTiles);

TEST(ProductThatDoesNotFitTiles, IsRefused) {
  for (const Case& one : {Case{7, 32, 32, Lies::kByRow, Lies::kByRow}, Case{32, 32, 7, Lies::kByRow, Lies::kByRow}}) {
    EXPECT_FALSE(multiplies_in_tiles(Problem<Bf16>(one).main.factors()));
  }
  const Problem<Bf16> problem(kCases[0]);
  Bf16Factors apart = problem.main.factors();
  apart.b_column = 2;
  apart.b_row = 64;
  EXPECT_FALSE(multiplies_in_tiles(apart));
}

}  // namespace
}  // namespace lathe::kernels
