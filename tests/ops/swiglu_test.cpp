#include "ops/swiglu.h"

#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

TEST(SwigluTest, EqualsTorchAndItsAutograd) {
  for (const auto& [dtype, bound] : {std::pair{at::kFloat, 1e-6}, std::pair{at::kBFloat16, 8e-3}}) {
    const at::Tensor gate = draw({4, 33}, 1, dtype) * 4, up = draw({4, 33}, 2, dtype), dy = draw({4, 33}, 3, dtype);
    const auto reference = [](const std::vector<at::Tensor>& in) { return in[0] * at::sigmoid(in[0]) * in[1]; };
    const std::vector<at::Tensor> wide = {gate.to(at::kDouble), up.to(at::kDouble)};
    const at::Tensor y = swiglu(gate, up);
    EXPECT_LE(relative(y, reference(wide)), bound);
    const auto theirs = testing::autograd_gradients(reference, wide, dy.to(at::kDouble));
    at::Tensor again = dy.clone(), dgate = gate.clone(), dup = up.clone();
    swiglu_backward_(again, dgate, dup);
    EXPECT_LE(relative(dgate, theirs[0]), bound);
    EXPECT_LE(relative(dup, theirs[1]), bound);
    EXPECT_TRUE(again.equal(y));
  }
}

TEST(SwigluTest, LargeInputsStayFinite) {
  const at::Tensor gate = at::full({1, 2}, 1.0F).mul_(200), far = -gate, one = at::ones({1, 2});
  EXPECT_EQ(swiglu(gate, one)[0][0].item<float>(), 200);
  EXPECT_EQ(swiglu(far, one)[0][0].item<float>(), 0);
}

}  // namespace
}  // namespace lathe::ops
