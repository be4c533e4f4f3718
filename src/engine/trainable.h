#pragma once
// The run's weights and gradients on one rank: frozen weights as loaded, trained ones with fp32 gradients (and fp32
// masters where the compute dtype is narrower). Implements what the model asks for.
#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "model/model_files.h"
#include "model/weights.h"

namespace lathe {

struct TrainableParameter {
  ParameterId id;
  at::Tensor master;  ///< fp32: what the optimizer updates; the parameter itself when that is fp32
  at::Tensor
      compute;  ///< what the model reads; the same tensor as master when the run computes in fp32 or for adapters
  at::Tensor gradient;  ///< fp32, same shape
  bool decay = true;    ///< weight decay applies (transformers: not to biases and norms)
};

class ParameterStore final : public WeightSource, public GradientSink {
 public:
  /// @param weights base weights (and adapter weights) by id.  @param trainable which of them train.
  /// @param compute_dtype what the model reads trained base weights in; adapters stay fp32. A trained weight that comes
  /// in fp32 gives its master unrounded.
  ParameterStore(const ModelShape& shape, TensorMap weights, const std::vector<ParameterId>& trainable,
                 at::ScalarType compute_dtype = at::ScalarType::Float);

  /// Frozen projections whose weights are held quantised.
  void add_quantized(QuantizedMap weights);

  void prefetch(BlockId) override {}
  const BlockView& acquire(BlockId block) override;
  void release(BlockId) override {}
  [[nodiscard]] bool wants(const ParameterId& id) const override;
  void ready(const ParameterId& id, const at::Tensor& contribution, bool last_micro_batch) override;

  [[nodiscard]] std::vector<TrainableParameter>& parameters() { return parameters_; }
  [[nodiscard]] const std::vector<TrainableParameter>& parameters() const { return parameters_; }
  [[nodiscard]] int64_t num_trainable() const;      ///< elements
  [[nodiscard]] int64_t num_total() const;          ///< elements, adapters included, tied weights once
  [[nodiscard]] TensorMap trained_weights() const;  ///< masters, by id
  [[nodiscard]] TensorMap all_weights() const;      ///< base weights with trained values, compute dtype
  /// Copies values into the masters (a checkpoint's, the best ones') and publishes them.
  /// @param values fp32 or narrower, every trained parameter. @throws Error(kData) naming one that is missing or
  /// misshapen.
  void load_trained(const TensorMap& values);
  void zero_gradients();
  void publish();  ///< masters → compute tensors after an optimizer step

 private:
  std::map<BlockId, BlockView> blocks_;
  TensorMap weights_;
  QuantizedMap quantized_;
  std::vector<TrainableParameter> parameters_;
  std::map<ParameterId, size_t> index_;
};

}  // namespace lathe
