#include "ops/update.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;

TEST(SumOfSquares, IsTorchsInDoubleWhateverTheThreads) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = draw({100'003}, 1).to(dtype);
    const double expected = x.to(at::kDouble).square().sum().item<double>();
    const double ours = sum_of_squares(x);
    EXPECT_NEAR(ours, expected, 1e-12 * expected);
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    EXPECT_EQ(sum_of_squares(x), ours);
    at::set_num_threads(threads);
  }
  EXPECT_EQ(sum_of_squares(at::empty({0})), 0);
}

TEST(AdamWUpdate, FollowsItsFormulaOverSeveralPieces) {
  const at::Tensor start = draw({3, 20'001}, 2), gradient = draw({3, 20'001}, 3);
  const at::Tensor parameter = start.clone(), m = draw({3, 20'001}, 4), v = draw({3, 20'001}, 5).square();
  const at::Tensor g = gradient.to(at::kDouble) * 0.5;
  const at::Tensor m1 = m.to(at::kDouble) * 0.9 + g * 0.1, v1 = v.to(at::kDouble) * 0.99 + g * g * 0.01;
  const double c1 = 1 - std::pow(0.9, 7), c2 = 1 - std::pow(0.99, 7);
  const at::Tensor expected = start.to(at::kDouble) * (1 - 1e-2 * 0.1) - 1e-2 * (m1 / c1) / ((v1 / c2).sqrt() + 1e-8);
  adamw({parameter, {}}, gradient, m, v, kernels::adamw_step(1e-2, 0.9, 0.99, 1e-8, 0.1, 7, 0.5));
  EXPECT_LE(testing::relative(parameter, expected), 1e-6);
  EXPECT_LE(testing::relative(m, m1), 1e-6);
  EXPECT_LE(testing::relative(v, v1), 1e-6);
}

// What two halves cannot hold exactly is off by one fp32 ulp (kernels/split_master_test.cpp).
TEST(MasterWeightTest, HoldsFp32BesideTheRoundedWeight) {
  for (const at::ScalarType given : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const at::Tensor values = draw({3, 20'001}, 6).to(given);
    const MasterWeight master{at::empty(values.sizes(), at::dtype(at::kBFloat16)),
                              at::empty(values.sizes(), at::dtype(at::kShort))};
    assign_master(master, values);
    EXPECT_TRUE(at::equal(master.weight, values.to(at::kBFloat16)));
    const at::Tensor read = read_master(master, 17, 50'000), expected = values.view({-1}).narrow(0, 17, 50'000);
    // One fp16 in 32 lies halfway between two bf16 of which the lower is even; of fp32 hardly any.
    EXPECT_LE((read - expected.to(at::kFloat)).abs().max().item<double>(), given == at::kBFloat16 ? 0 : 3e-7);
    const int64_t equal = (read == expected.to(at::kFloat)).sum().item<int64_t>();
    EXPECT_GE(equal, given == at::kHalf ? 45'000 : 49'990);
  }
}

TEST(AdamWUpdate, SplitWeightsTakeThePathOfPlainOnes) {
  const at::Tensor plain = draw({2, 30'011}, 7).to(at::kBFloat16).to(at::kFloat);
  const MasterWeight master{plain.to(at::kBFloat16), at::zeros(plain.sizes(), at::dtype(at::kShort))};
  const at::Tensor m = at::zeros_like(plain), v = at::zeros_like(plain), m2 = m.clone(), v2 = v.clone();
  for (int64_t t = 1; t <= 3; ++t) {
    const at::Tensor gradient = draw(plain.sizes(), 10 + static_cast<uint64_t>(t)).to(at::kBFloat16);
    const kernels::AdamWStep step = kernels::adamw_step(1e-3, 0.9, 0.99, 1e-8, 0.1, t, 0.5);
    adamw({plain, {}}, gradient.to(at::kFloat), m, v, step);
    adamw(master, gradient, m2, v2, step);
  }
  EXPECT_TRUE(at::equal(m, m2));
  EXPECT_TRUE(at::equal(v, v2));
  EXPECT_GE((read_master(master, 0, plain.numel()) == plain.view({-1})).sum().item<int64_t>(), plain.numel() - 20);
  EXPECT_TRUE(at::equal(master.weight, read_master(master, 0, plain.numel()).view(plain.sizes()).to(at::kBFloat16)));
}

/// One moment of zeros for so many elements.
BlockwiseMoment zero_moment(int64_t count) {
  return {at::zeros({count}, at::dtype(at::kByte)), at::zeros({(count + 255) / 256}, at::dtype(at::kFloat))};
}

// Pieces are whole blocks wherever threads begin: the same codes and weights as from one call of the kernel.
TEST(AdamW8bitUpdate, GivesEveryBlockToOneThread) {
  for (const int64_t count : {int64_t{100}, int64_t{256 * 64 * 5}, int64_t{256 * 64 * 3 + 17}}) {
    const at::Tensor start = draw({count}, 20), gradient = draw({count}, 21), expected = start.clone();
    const BlockwiseMoment m = zero_moment(count), v = zero_moment(count), m1 = zero_moment(count),
                          v1 = zero_moment(count);
    for (int64_t t = 1; t <= 2; ++t) {
      const kernels::AdamWStep step = kernels::adamw_step(1e-3, 0.9, 0.99, 1e-8, 0.1, t, 0.5);
      adamw_8bit({start, {}}, gradient, m, v, step);
      const auto moment = [](const BlockwiseMoment& of) {
        return kernels::BlockwiseMoment{of.codes.mutable_data_ptr<uint8_t>(), of.absmax.mutable_data_ptr<float>()};
      };
      kernels::adamw_8bit(expected.mutable_data_ptr<float>(), gradient.const_data_ptr<float>(),
                          {moment(m1), moment(v1)}, count, step);
    }
    EXPECT_TRUE(at::equal(start, expected));
    EXPECT_TRUE(at::equal(m.codes, m1.codes) && at::equal(v.codes, v1.codes));
    EXPECT_TRUE(at::equal(m.absmax, m1.absmax) && at::equal(v.absmax, v1.absmax));
  }
}

TEST(UpdateInPieces, VisitsEveryElementOnceWithItsScaledGradient) {
  const at::Tensor start = draw({2, 30'011}, 8), narrow = draw({2, 30'011}, 9).to(at::kBFloat16);
  const at::Tensor gradient = narrow.to(at::kFloat), places = at::arange(60'022, at::kFloat).view_as(start);
  const at::Tensor expected = start + gradient * 0.25 * places;
  const auto rule = [](const UpdatePiece& piece) {
    for (int64_t i = 0; i < piece.count; ++i) {
      piece.weight[i] += piece.gradient[i] * static_cast<float>(piece.begin + i);
    }
  };
  const at::Tensor plain = start.clone();
  update_in_pieces({plain, {}}, gradient, 0.25, rule);
  EXPECT_LE(testing::relative(plain, expected), 1e-7);
  const MasterWeight split{at::empty(start.sizes(), at::kBFloat16), at::empty(start.sizes(), at::kShort)};
  assign_master(split, start);
  update_in_pieces(split, narrow, 0.25, rule);
  EXPECT_LE(testing::relative(read_master(split, 0, 60'022).view_as(start), expected), 1e-6);
  EXPECT_TRUE(at::equal(split.weight.view({-1}), read_master(split, 0, 60'022).to(at::kBFloat16)));
}

}  // namespace
}  // namespace lathe::ops
