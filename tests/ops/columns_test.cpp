#include "ops/columns.h"

#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe {
namespace {

using testing::draw;
using testing::relative;

/// In double, for tensors of one piece and of several, in both types.
TEST(Columns, EqualTheirDefinition) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {3, 700}) {
      const at::Tensor x = draw({rows, 1000}, 1, dtype), y = draw({rows, 1000}, 2, dtype);
      const at::Tensor scale = draw({1000}, 3), bias = draw({1000}, 4, dtype);
      const double rounding = dtype == at::kFloat ? 1e-7 : 4e-3;
      const at::Tensor scaled = x.to(at::kDouble) * scale.to(at::kDouble);
      EXPECT_LE(relative(ops::scale_columns(x, scale, {}), scaled), rounding);
      EXPECT_LE(relative(ops::scale_columns(x, scale, bias), scaled + bias.to(at::kDouble)), rounding);
      EXPECT_EQ(ops::scale_columns(x, scale, bias).scalar_type(), dtype);
      const at::Tensor dots = ops::column_dots(x, y);
      EXPECT_EQ(dots.scalar_type(), at::kFloat);
      EXPECT_LE(relative(dots, (x.to(at::kDouble) * y.to(at::kDouble)).sum(0)), 1e-6);
    }
  }
}

}  // namespace
}  // namespace lathe
