#include "ops/embedding_gradient.h"

#include <ATen/ATen.h>

#include <tuple>

#include "ops/check.h"
#include "ops/profile.h"

namespace lathe::ops {

void embedding_gradient(const at::Tensor& ids, const at::Tensor& rows, const at::Tensor& into, bool add) {
  LATHE_EXPECT(rows, ({ids.size(0), into.size(1)}));
  const ProfileScope profiled(ProfileKind::kOp, "embedding gradient");
  at::Tensor place = into;
  if (!add) place.zero_();
  if (ids.size(0) == 0) return;
  const auto [tokens, token_of_row] = at::_unique(ids.to(at::kLong), /*sorted=*/true, /*return_inverse=*/true);
  at::Tensor sums = add && into.scalar_type() == at::kFloat
                        ? place.index_select(0, tokens)
                        : at::zeros({tokens.size(0), rows.size(1)}, rows.options().dtype(at::kFloat));
  sums.index_add_(0, token_of_row, rows.to(at::kFloat));
  if (add && into.scalar_type() != at::kFloat) sums.add_(place.index_select(0, tokens));
  place.index_copy_(0, tokens, sums.to(into.scalar_type()));
}

}  // namespace lathe::ops
