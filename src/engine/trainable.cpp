#include "engine/trainable.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include "base/memory_ledger.h"

namespace lathe {
namespace {

/// transformers leaves biases and norms without decay (get_decay_parameter_names); adapters have neither in their
/// names.
bool decays(const ParameterId& id) {
  if (id.part == Part::kLoraA || id.part == Part::kLoraB) return true;
  switch (id.site) {
    case Site::kInputNorm:
    case Site::kQNorm:
    case Site::kKNorm:
    case Site::kPostNorm:
    case Site::kFinalNorm:
      return false;
    default:
      return id.part == Part::kWeight;
  }
}

const ParameterId kEmbedding{BlockId::embedding(), Site::kEmbedTokens, Part::kWeight};
const ParameterId kLmHead{BlockId::head(), Site::kLmHead, Part::kWeight};

at::Tensor owned_copy(const at::Tensor& tensor, at::ScalarType dtype, MemoryClass memory_class) {
  const MemoryScope scope(memory_class);
  return tensor.to(tensor.options().dtype(dtype), /*non_blocking=*/false, /*copy=*/true).contiguous();
}

}  // namespace

ParameterStore::ParameterStore(const ModelShape& shape, TensorMap weights, const std::vector<ParameterId>& trainable,
                               at::ScalarType compute_dtype)
    : weights_(std::move(weights)) {
  parameters_.reserve(trainable.size());
  for (const ParameterId& id : trainable) {
    const auto found = weights_.find(id);
    LATHE_ASSERT(found != weights_.end());
    TrainableParameter parameter;
    parameter.id = id;
    // Loaded weights may be read-only views of a file: what trains is always a copy of our own.
    const at::ScalarType given = found->second.scalar_type();
    const bool adapter = id.part == Part::kLoraA || id.part == Part::kLoraB;
    const at::ScalarType computed = adapter || given != at::kFloat ? given : compute_dtype;
    parameter.compute = owned_copy(found->second, computed, MemoryClass::kWeights);
    parameter.master =
        computed == at::kFloat ? parameter.compute : owned_copy(found->second, at::kFloat, MemoryClass::kMaster);
    {
      const MemoryScope scope(MemoryClass::kGradients);
      parameter.gradient = at::zeros_like(parameter.master);
    }
    parameter.decay = decays(id);
    found->second = parameter.compute;
    index_[id] = parameters_.size();
    parameters_.push_back(std::move(parameter));
  }
  for (const auto& [id, tensor] : weights_) blocks_[id.block].set(id.site, id.part, tensor);
  if (shape.tie_word_embeddings) {
    blocks_[BlockId::head()].set(Site::kLmHead, Part::kWeight, weights_.at(kEmbedding));
    if (const auto tied = index_.find(kEmbedding); tied != index_.end()) index_[kLmHead] = tied->second;
  }
}

void ParameterStore::add_quantized(QuantizedMap weights) {
  for (const auto& [id, weight] : weights) blocks_[id.block].set_quantized(id.site, weight);
  quantized_.merge(weights);
}

const BlockView& ParameterStore::acquire(BlockId block) {
  const auto found = blocks_.find(block);
  LATHE_ASSERT(found != blocks_.end());
  return found->second;
}

bool ParameterStore::wants(const ParameterId& id) const {
  return index_.contains(id);
}

void ParameterStore::ready(const ParameterId& id, const at::Tensor& contribution, bool /*last_micro_batch*/) {
  const auto found = index_.find(id);
  LATHE_ASSERT(found != index_.end());
  at::Tensor& gradient = parameters_[found->second].gradient;
  LATHE_ASSERT(contribution.sizes() == gradient.sizes());
  gradient.add_(contribution);
}

int64_t ParameterStore::num_trainable() const {
  int64_t count = 0;
  for (const TrainableParameter& parameter : parameters_) count += parameter.master.numel();
  return count;
}

int64_t ParameterStore::num_total() const {
  int64_t count = 0;
  for (const auto& [id, tensor] : weights_) count += tensor.numel();
  for (const auto& [id, weight] : quantized_) count += weight->numel();
  return count;
}

TensorMap ParameterStore::trained_weights() const {
  TensorMap trained;
  for (const TrainableParameter& parameter : parameters_) trained[parameter.id] = parameter.master;
  return trained;
}

TensorMap ParameterStore::all_weights() const {
  return weights_;
}

void ParameterStore::load_trained(const TensorMap& values) {
  for (TrainableParameter& parameter : parameters_) {
    const auto found = values.find(parameter.id);
    if (found == values.end()) throw Error(ErrorKind::kData, fmt::format("'{}' is missing", hf_name(parameter.id)));
    if (found->second.sizes() != parameter.master.sizes()) {
      throw Error(ErrorKind::kData,
                  fmt::format("'{}' has the shape [{}] where [{}] is needed", hf_name(parameter.id),
                              fmt::join(found->second.sizes(), ", "), fmt::join(parameter.master.sizes(), ", ")));
    }
    parameter.master.copy_(found->second);
  }
  publish();
}

void ParameterStore::zero_gradients() {
  for (TrainableParameter& parameter : parameters_) parameter.gradient.zero_();
}

void ParameterStore::publish() {
  for (TrainableParameter& parameter : parameters_) {
    if (!parameter.compute.is_same(parameter.master)) parameter.compute.copy_(parameter.master);
  }
}

}  // namespace lathe
