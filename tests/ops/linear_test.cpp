#include "ops/linear.h"

#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

TEST(LinearTest, EqualsAutogradOfTheSameProducts) {
  const at::Tensor x = draw({5, 12}, 1), w = draw({7, 12}, 2), bias = draw({7}, 3), dy = draw({5, 7}, 4);
  const at::Tensor a = draw({3, 12}, 5), b = draw({7, 3}, 6);
  const auto reference = [](const std::vector<at::Tensor>& in) {
    return at::matmul(in[0], in[1].t()) + in[2] + at::matmul(at::matmul(in[0], in[3].t()), in[4].t());
  };
  const std::vector<at::Tensor> inputs = {x.to(at::kDouble), w.to(at::kDouble), bias.to(at::kDouble), a.to(at::kDouble),
                                          b.to(at::kDouble)};
  const at::Tensor a_x = ops::linear(x, a, {});
  const at::Tensor y = ops::linear(x, w, bias, {a_x, b.t()});
  EXPECT_LE(relative(y, reference(inputs)), 1e-6);

  const auto theirs = testing::autograd_gradients(reference, inputs, dy.to(at::kDouble));
  at::Tensor dx;
  at::Tensor da_x;
  linear_input_gradient(dy, b, da_x);
  linear_input_gradient(dy, w, dx, {da_x, a});
  EXPECT_LE(relative(dx, theirs[0]), 1e-6);
  EXPECT_LE(relative(linear_weight_gradient(dy, x), theirs[1]), 1e-6);
  EXPECT_LE(relative(linear_bias_gradient(dy), theirs[2]), 1e-6);
  EXPECT_LE(relative(linear_weight_gradient(da_x, x), theirs[3]), 1e-6);
  EXPECT_LE(relative(linear_weight_gradient(dy, a_x), theirs[4]), 1e-6);
}

/// With tiles (wide enough for them) and without, in each type: y, and dx fresh and added to.
TEST(LinearTest, AdaptersPartIsAdded) {
  for (const int64_t tokens : {5, 40}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const auto made = [&](int64_t rows, int64_t columns, int seed) { return draw({rows, columns}, seed).to(type); };
      const auto whole = [](const at::Tensor& t) { return t.to(at::kDouble); };
      const at::Tensor x = made(tokens, 48, 1), w = made(72, 48, 2), bias = draw({72}, 3).to(type),
                       low = made(tokens, 8, 4), right = made(72, 8, 5), dy = made(tokens, 72, 6), a = made(8, 48, 7);
      const double bound = type == at::kBFloat16 ? 4e-3 : 1e-6;
      const at::Tensor part = at::mm(whole(low), whole(right).t());
      const at::Tensor base = at::mm(whole(x), whole(w).t());
      EXPECT_LE(relative(linear(x, w, bias, {low, right.t()}), base + whole(bias) + part), bound);
      EXPECT_LE(relative(linear(x, w, {}, {low, right.t()}), base + part), bound);
      const at::Tensor expected = at::mm(whole(dy), whole(w)) + at::mm(whole(low), whole(a));
      at::Tensor dx;
      linear_input_gradient(dy, w, dx, {low, a});
      EXPECT_LE(relative(dx, expected), bound);
      linear_input_gradient(dy, w, dx, {low, a});
      EXPECT_LE(relative(dx, expected * 2), bound);
    }
  }
}

TEST(LinearTest, WeightGradientsAreWrittenOrAddedInPlace) {
  // The second is wide enough to be widened in several pieces.
  for (const auto& [out, in] : {std::pair<int64_t, int64_t>{7, 12}, {2100, 1300}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = draw({9, in}, 1).to(type), dy = draw({9, out}, 2).to(type);
      const at::Tensor product = at::mm(dy.to(at::kDouble).t(), x.to(at::kDouble));
      for (const at::ScalarType kept : {at::kFloat, type}) {
        const at::Tensor before = draw({out, in}, 3).to(kept), into = before.clone();
        const double bound = type == at::kBFloat16 ? 4e-3 : 1e-6;
        linear_weight_gradient(dy, x, into, true);
        EXPECT_LE(relative(into, before.to(at::kDouble) + product), bound);
        linear_weight_gradient(dy, x, into, false);
        EXPECT_LE(relative(into, product), bound);
      }
    }
  }
}

}  // namespace
}  // namespace lathe::ops
