#include "ops/rotary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

RotaryTable table_of(int64_t tokens, int64_t dim, at::ScalarType dtype) {
  const at::Tensor inverse = at::pow(10000.0, -at::arange(0, dim, 2, at::dtype(at::kFloat)) / static_cast<double>(dim));
  return rotary_table(at::arange(tokens, at::dtype(at::kInt)) * 3, inverse, 1.25, dtype);
}

// The embedding written with complex numbers: each pair (x[i], x[i + D/2]) is multiplied by 1.25 · exp(i·angle).
at::Tensor by_complex(const at::Tensor& x, int64_t dim) {
  const at::Tensor inverse =
      at::pow(10000.0, -at::arange(0, dim, 2, at::dtype(at::kDouble)) / static_cast<double>(dim));
  const at::Tensor angle = at::arange(x.size(0), at::dtype(at::kDouble)).mul(3).unsqueeze(1) * inverse;
  const at::Tensor turn = at::polar(at::full_like(angle, 1.25), angle).unsqueeze(1);
  const at::Tensor halves = x.to(at::kDouble).view({x.size(0), x.size(1), 2, dim / 2}).transpose(2, 3).contiguous();
  const at::Tensor turned = at::view_as_real(at::view_as_complex(halves) * turn);
  return turned.transpose(2, 3).reshape(x.sizes());
}

TEST(RotaryTest, TurnsPairsAsComplexNumbersTurn) {
  for (const int64_t dim : {2, 6, 64, 128}) {
    const at::Tensor x = draw({9, 3, dim}, 1);
    EXPECT_LE(relative(rotary(x, table_of(9, dim, at::kFloat)), by_complex(x, dim)), 1e-6) << dim;
    const at::Tensor narrow = x.to(at::kBFloat16);
    EXPECT_LE(relative(rotary(narrow, table_of(9, dim, at::kBFloat16)), by_complex(x, dim)), 8e-3) << dim;
  }
}

TEST(RotaryTest, BackwardEqualsAutograd) {
  const at::Tensor x = draw({5, 2, 8}, 2), dy = draw({5, 2, 8}, 3);
  const auto theirs =
      testing::autograd_gradients([](const auto& in) { return by_complex(in[0], 8); }, {x}, dy.to(at::kDouble));
  EXPECT_LE(relative(rotary_backward(dy, table_of(5, 8, at::kFloat)), theirs[0]), 1e-6);
}

}  // namespace
}  // namespace lathe::ops
