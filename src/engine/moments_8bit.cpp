#include "engine/moments_8bit.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include "base/memory_ledger.h"
#include "config/optimizer_bytes.h"
#include "ops/cpu_allocator.h"

namespace lathe {
namespace {

static_assert(k8bitBlock == kernels::kDynamicBlock);

bool in_8bit(const TrainableParameter& parameter) {
  return parameter.master.weight.numel() >= kMin8bitElements && parameter.id.site != Site::kEmbedTokens;
}

}  // namespace

std::vector<ops::BlockwiseMoment> zero_moments(const std::vector<TrainableParameter>& parameters) {
  const MemoryScope scope(MemoryClass::kOptimizer);
  std::vector<ops::BlockwiseMoment> moments;
  for (const TrainableParameter& parameter : parameters) {
    const at::Tensor& weight = parameter.master.weight;
    LATHE_ASSERT(weight.is_cpu());
    if (in_8bit(parameter)) {
      const int64_t blocks = (weight.numel() + kernels::kDynamicBlock - 1) / kernels::kDynamicBlock;
      moments.push_back({untouched_zeros_like(weight, at::kByte), untouched_zeros({blocks}, at::kFloat)});
    } else {
      moments.push_back({untouched_zeros_like(weight, at::kFloat), {}});
    }
  }
  return moments;
}

void add_state(std::vector<StateTensor>& state, const std::string& suffix, const ops::BlockwiseMoment& moment) {
  state.push_back(plain_state(suffix, moment.codes));
  if (moment.absmax.defined()) state.push_back(plain_state(suffix + "_absmax", moment.absmax));
}

}  // namespace lathe
