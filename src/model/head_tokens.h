#pragma once
// The tokens whose hidden state the head reads. The last layer works out its output for no others: of what stands
// before a row's first supervised token it needs the keys and values alone.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/loader.h"
#include "ops/attention.h"

namespace lathe {

struct HeadTokens {
  at::Tensor positions;                 ///< [N] int64, rising; each row from its first supervised token to its end
  std::vector<ops::AttentionRow> rows;  ///< queries are those N tokens, keys all of their row
  std::vector<int32_t> targets;         ///< [N]
};

/// A row without a supervised token gives its last one: each row keeps a query, so that each key has a gradient.
[[nodiscard]] HeadTokens head_tokens(const Batch& batch);

}  // namespace lathe
