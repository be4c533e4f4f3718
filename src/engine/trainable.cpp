#include "engine/trainable.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <cmath>

#include "base/memory_ledger.h"
#include "ops/cpu_allocator.h"

namespace lathe {
namespace {

/// transformers leaves biases and norms without decay (get_decay_parameter_names); adapters have neither in their
/// names.
bool decays(const ParameterId& id) {
  if (is_adapter(id.part)) return true;
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

/// Loaded weights may be read-only views of a file: what trains is always a copy of our own.
ops::MasterWeight owned_master(const at::Tensor& given, at::ScalarType computed, MasterStorage storage) {
  ops::MasterWeight master;
  {
    const MemoryScope scope(MemoryClass::kWeights);
    master.weight = at::empty(given.sizes(), at::dtype(computed).device(given.device()));
  }
  const bool alone = computed == at::kFloat || storage == MasterStorage::kNone;
  if (alone || given.scalar_type() == computed) master.weight.copy_(given);
  if (alone) return master;
  const MemoryScope scope(MemoryClass::kMaster);
  const bool split = given.is_cpu() && computed == at::kBFloat16;
  master.rest = untouched_zeros_like(given, split ? at::kShort : at::kFloat);
  if (given.scalar_type() != computed || !split) ops::assign_master(master, given);
  return master;
}

at::Tensor gradient_of(const ops::MasterWeight& master, GradientStorage storage) {
  const at::Tensor& weight = master.weight;
  const bool narrow = storage == GradientStorage::kComputeType && weight.dim() > 1 && weight.is_cpu() &&
                      weight.scalar_type() == at::kBFloat16;
  const MemoryScope scope(MemoryClass::kGradients);
  return untouched_zeros_like(weight, narrow ? at::kBFloat16 : at::kFloat);
}

}  // namespace

ParameterStore::ParameterStore(const ModelShape& shape, TensorMap weights, const std::vector<ParameterId>& trainable,
                               at::ScalarType compute_dtype, GradientStorage gradients, MasterStorage masters)
    : weights_(std::move(weights)) {
  parameters_.reserve(trainable.size());
  for (const ParameterId& id : trainable) {
    const auto found = weights_.find(id);
    LATHE_ASSERT(found != weights_.end());
    TrainableParameter parameter;
    parameter.id = id;
    // Magnitudes are fp32 to the model too: they are vectors, and a quotient with norms.
    parameter.master = owned_master(found->second, id.part == Part::kLoraMagnitude ? at::kFloat : compute_dtype,
                                    is_adapter(id.part) ? MasterStorage::kFloat : masters);
    parameter.gradient = gradient_of(parameter.master, gradients);
    parameter.decay = decays(id);
    found->second = parameter.master.weight;
    index_[id] = parameters_.size();
    parameters_.push_back(std::move(parameter));
  }
  for (const auto& [id, tensor] : weights_) blocks_[id.block].set(id.site, id.part, tensor);
  if (shape.tie_word_embeddings) {
    blocks_[BlockId::head()].set(Site::kLmHead, Part::kWeight, weights_.at(kTableId));
    if (const auto tied = index_.find(kTableId); tied != index_.end()) index_[kHeadId] = tied->second;
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

TrainableParameter& ParameterStore::parameter(const ParameterId& id) {
  const auto found = index_.find(id);
  LATHE_ASSERT(found != index_.end());
  return parameters_[found->second];
}

void ParameterStore::ready(const ParameterId& id, const at::Tensor& contribution, bool last_micro_batch) {
  TrainableParameter& of = parameter(id);
  LATHE_ASSERT(contribution.sizes() == of.gradient.sizes());
  if (of.fresh) {
    of.gradient.copy_(contribution);
  } else {
    of.gradient.add_(contribution);
  }
  written(id, last_micro_batch);
}

GradientPlace ParameterStore::borrow(const ParameterId& id) {
  const TrainableParameter& of = parameter(id);
  return {of.gradient, of.fresh};
}

void ParameterStore::written(const ParameterId& id, bool /*last_micro_batch*/) {
  parameter(id).fresh = false;
}

int64_t ParameterStore::num_trainable() const {
  int64_t count = 0;
  for (const TrainableParameter& parameter : parameters_) count += parameter.master.weight.numel();
  return count;
}

int64_t ParameterStore::num_total() const {
  int64_t count = 0;
  for (const auto& [id, tensor] : weights_) count += tensor.numel();
  for (const auto& [id, weight] : quantized_) count += weight->numel();
  return count;
}

TensorMap ParameterStore::all_weights() const {
  return weights_;
}

void ParameterStore::load_trained(const TensorMap& values) {
  for (const auto& [id, tensor] : values) {
    if (!index_.contains(id))
      throw Error(ErrorKind::kData, fmt::format("'{}' does not train in this run", hf_name(id)));
  }
  for (TrainableParameter& parameter : parameters_) {
    const at::IntArrayRef sizes = parameter.master.weight.sizes();
    const auto found = values.find(parameter.id);
    if (found == values.end()) throw Error(ErrorKind::kData, fmt::format("'{}' is missing", hf_name(parameter.id)));
    if (found->second.sizes() != sizes) {
      throw Error(ErrorKind::kData, fmt::format("'{}' has the shape [{}] where [{}] is needed", hf_name(parameter.id),
                                                fmt::join(found->second.sizes(), ", "), fmt::join(sizes, ", ")));
    }
    ops::assign_master(parameter.master, found->second);
  }
}

StateTensor ParameterStore::master(size_t parameter) const {
  const ops::MasterWeight master = parameters_.at(parameter).master;
  if (!master.rest.defined()) return plain_state("", master.weight);
  return {.suffix = "",
          .dtype = at::kFloat,
          .sizes = master.weight.sizes().vec(),
          .tensor = master.rest.scalar_type() == at::kFloat ? master.rest : at::Tensor(),
          .read = [master](int64_t begin, int64_t count) { return ops::read_master(master, begin, count); },
          .write = [master](const at::Tensor& values) { ops::assign_master(master, values); }};
}

std::vector<StateTensor> ParameterStore::state(size_t parameter) const {
  const TrainableParameter& of = parameters_.at(parameter);
  if (is_adapter(of.id.part) || !of.master.rest.defined()) return {};  // the model's own files have it
  StateTensor state = master(parameter);
  state.suffix = ".master";
  return {std::move(state)};
}

void ParameterStore::require_finite() const {
  for (const TrainableParameter& parameter : parameters_) {
    const ops::MasterWeight& master = parameter.master;
    const bool beside = master.rest.defined() && master.rest.scalar_type() == at::kFloat;
    const at::Tensor& values = beside ? master.rest : master.weight;
    // Squares of huge values overflow as well.
    if (std::isfinite(ops::sum_of_squares(values)) || at::isfinite(values).all().item<bool>()) continue;
    throw Error(ErrorKind::kRun, fmt::format("{} is not finite any more: it is not saved", hf_name(parameter.id)), {},
                "take a smaller learning_rate, or look at adam_epsilon; checkpoints from before are whole");
  }
}

void ParameterStore::forget_gradients() {
  for (TrainableParameter& parameter : parameters_) parameter.fresh = true;
}

void ParameterStore::complete_gradients() {
  for (TrainableParameter& parameter : parameters_) {
    if (parameter.fresh) parameter.gradient.zero_();
    parameter.fresh = false;
  }
}

}  // namespace lathe
