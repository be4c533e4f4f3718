#include "kernels/cpu/product_cases.h"

namespace lathe::kernels {
namespace {

template <typename T>
void run_widened(const ProductOf<T>& product, const ProductPart& part) {
  std::vector<float> workspace(static_cast<size_t>(widened_workspace(part.rows)));
  multiply_widened(product, part, workspace.data());
}

template <typename T>
struct Widened {
  using Type = T;
  static constexpr int64_t kRowUnit = kWidenedRows, kColumnUnit = kWidenedColumns;

  static const char* missing() { return nullptr; }
  static void run(const ProductOf<T>& product, const ProductPart& part) { run_widened(product, part); }
};
INSTANTIATE_TYPED_TEST_SUITE_P(WidenedBf16, ProductBy, Widened<Bf16>);
INSTANTIATE_TYPED_TEST_SUITE_P(WidenedF16, ProductBy, Widened<F16>);

// One row, as when text is generated; more rows than are added up at once; one column; nothing to add up.
constexpr Case kFurtherCases[] = {{1, 300, 130, Lies::kByRow, Lies::kByColumn},
                                  {2021, 20, 5, Lies::kByRow, Lies::kByRow},
                                  {2021, 20, 5, Lies::kByColumn, Lies::kByRow},
                                  {7, 19, 1, Lies::kByColumn, Lies::kByColumn},
                                  {13, 0, 70, Lies::kByRow, Lies::kByRow}};

template <typename T>
void expect_right(const Case& one) {
  const Problem<T> problem(one);
  for (const bool add : {false, true}) {
    std::vector<T> y = problem.y;
    const ProductOf<T> product = problem.product(y, add, !add);
    run_widened(product, {0, one.rows, 0, one.columns});
    expect_rounded_once(problem, product, product.factors, problem.y);
  }
}

TEST(WidenedProduct, OfEveryInstructionSet) {
  for_each_target([] {
    for (const Case& one : kFurtherCases) {
      expect_right<Bf16>(one);
      expect_right<F16>(one);
    }
    for (const size_t i : {1, 4, 6, 7, 13, 17}) {
      expect_right<Bf16>(kCases[i]);
      expect_right<F16>(kCases[i]);
    }
  });
}

}  // namespace
}  // namespace lathe::kernels
