#include "model/neftune.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"
#include "model/causal_lm.h"

namespace lathe {
namespace {

constexpr int64_t kBlock = 4, kBlocksATask = 4096;
constexpr uint32_t kSite = 0xFF;  // no dropout of a layer has this one

/// A whole number of 24 bits as a float in [-1, 1).
float to_unit(uint32_t draw) {
  return static_cast<float>(draw >> 8) * 0x1p-23F - 1.0F;
}

}  // namespace

void add_neftune_noise(at::Tensor& hidden, double alpha, int64_t longest_row, const DropoutKey& key) {
  LATHE_ASSERT(hidden.dim() == 2 && longest_row > 0);
  const auto size = static_cast<double>(longest_row * hidden.size(1));
  const auto magnitude = static_cast<float>(alpha / std::sqrt(size));
  at::Tensor noise = at::empty(hidden.sizes(), at::kFloat);
  float* const out = noise.mutable_data_ptr<float>();
  const int64_t count = noise.numel();
  const PhiloxKey seed = {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)};
  at::parallel_for(0, (count + kBlock - 1) / kBlock, kBlocksATask, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const PhiloxCounter draws =
          philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32) | kSite << 8,
                      static_cast<uint32_t>(key.step), static_cast<uint32_t>(key.micro_batch)},
                     seed);
      for (int64_t i = block * kBlock; i < std::min(count, (block + 1) * kBlock); ++i) {
        out[i] = magnitude * to_unit(draws[static_cast<size_t>(i % kBlock)]);
      }
    }
  });
  hidden.add_(noise.to(hidden.scalar_type()));
}

}  // namespace lathe
