#include "model/head_tokens.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lathe {

HeadTokens head_tokens(const Batch& batch) {
  HeadTokens chosen;
  std::vector<int64_t> positions;
  for (size_t row = 0; row + 1 < batch.cu_seqlens.size(); ++row) {
    const int64_t begin = batch.cu_seqlens[row], end = batch.cu_seqlens[row + 1];
    const auto supervised = std::find_if(batch.targets.begin() + begin, batch.targets.begin() + end,
                                         [](int32_t t) { return t != kIgnoreLabel; });
    const int64_t first = std::min<int64_t>(supervised - batch.targets.begin(), end - 1);
    chosen.rows.push_back({static_cast<int64_t>(positions.size()), end - first, begin, end - begin});
    for (int64_t token = first; token < end; ++token) {
      positions.push_back(token);
      chosen.targets.push_back(batch.targets[static_cast<size_t>(token)]);
    }
  }
  chosen.positions = at::empty({static_cast<int64_t>(positions.size())}, at::dtype(at::kLong));
  std::copy(positions.begin(), positions.end(), chosen.positions.mutable_data_ptr<int64_t>());
  return chosen;
}

}  // namespace lathe
