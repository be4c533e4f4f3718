#include "ops/autograd_node.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include "ops/autograd_reference.h"
#include "ops/swiglu.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

// swiglu by its own backward, inside a graph of torch's operations.
at::Tensor node(const std::vector<at::Tensor>& in) {
  const at::Tensor gate = in[0].detach(), up = in[1].detach();
  return autograd_node(swiglu(gate, up), in, [gate, up](const at::Tensor& dy) {
    at::Tensor again = dy.clone(), dgate = gate.clone(), dup = up.clone();
    swiglu_backward_(again, dgate, dup);
    return std::vector<at::Tensor>{dgate, dup};
  });
}

TEST(AutogradNodeTest, TakesPartInATorchGraph) {
  const at::Tensor a = draw({3, 5}, 1), b = draw({3, 5}, 2), dy = at::ones({});
  const auto ours = testing::autograd_gradients(
      [](const auto& in) {
        return (node({in[0].sin(), in[1]}) * in[1]).sum();
      },
      {a, b}, dy);
  const auto theirs = testing::autograd_gradients(
      [](const auto& in) { return (at::silu(in[0].sin()) * in[1] * in[1]).sum(); }, {a, b}, dy);
  EXPECT_LE(relative(ours[0], theirs[0]), 1e-6);
  EXPECT_LE(relative(ours[1], theirs[1]), 1e-6);
}

TEST(AutogradNodeTest, ASecondBackwardIsRefused) {
  const at::Tensor a = draw({2, 2}, 1).requires_grad_(true);
  const at::Tensor y = node({a, at::ones({2, 2})}).sum();
  y.backward();
  EXPECT_THROW(y.backward(), std::exception);
}

TEST(AutogradNodeTest, NothingIsTrackedWithoutAnInputThatTrains) {
  EXPECT_FALSE(node({at::ones({2, 2}), at::ones({2, 2})}).requires_grad());
}

}  // namespace
}  // namespace lathe::ops
