#include "ops/embedding_gradient.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;

TEST(EmbeddingGradient, IsTorchsIndexAddRoundedOnce) {
  const at::Tensor ids = at::tensor({5, 2, 5, 0, 5, 2, 9}, at::kInt), rows = draw({7, 12}, 1);
  for (const bool add : {false, true}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor into = draw({11, 12}, 2).to(type), before = into.clone();
      const at::Tensor given = rows.to(type);
      at::Tensor expected = add ? before.to(at::kDouble) : at::zeros({11, 12}, at::kDouble);
      expected.index_add_(0, ids, given.to(at::kDouble));
      embedding_gradient(ids, given, into, add);
      if (type == at::kFloat) {
        EXPECT_LE(testing::relative(into, expected), 1e-6);
      } else {  // a sum in bf16 would be rounded three times for token 5
        EXPECT_TRUE(at::equal(into, expected.to(at::kFloat).to(at::kBFloat16)));
      }
    }
  }
}

TEST(EmbeddingGradient, WithoutTokensOnlyClears) {
  const at::Tensor into = draw({3, 4}, 1), before = into.clone();
  embedding_gradient(at::empty({0}, at::kInt), at::empty({0, 4}), into, true);
  EXPECT_TRUE(at::equal(into, before));
  embedding_gradient(at::empty({0}, at::kInt), at::empty({0, 4}), into, false);
  EXPECT_EQ(into.abs().sum().item<float>(), 0);
}

}  // namespace
}  // namespace lathe::ops
