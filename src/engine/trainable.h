#pragma once
// The run's weights and gradients on one rank: frozen weights as loaded, trained ones with fp32 masters and a gradient.
// Implements what the model asks for. Bytes a trained parameter takes: docs/architecture.md.
#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "engine/state_tensor.h"
#include "model/model_files.h"
#include "model/weights.h"
#include "ops/update.h"

namespace lathe {

struct TrainableParameter {
  ParameterId id;
  ops::MasterWeight master;  ///< what the model reads, and with it the fp32 master that the optimizer updates
  at::Tensor gradient;       ///< same shape; fp32, or the weight's type (GradientStorage)
  bool decay = true;         ///< weight decay applies (transformers: not to biases and norms)
  double rate = 1;           ///< times the run's learning rate (LoRA+)
  bool fresh = true;         ///< nothing of this update was written to the gradient yet
};

/// What the gradients of matrices are kept in. Those of biases and norms, of fp16 weights and on a GPU are always fp32.
enum class GradientStorage : uint8_t {
  kFloat,        ///< added up in fp32 over micro-batches
  kComputeType,  ///< as the product rounds them: an update has one micro-batch, so nothing is added up
};

/// Whether weights that are computed with in bf16 have an fp32 master.
enum class MasterStorage : uint8_t {
  kFloat,
  kNone,  ///< bf16 is all there is; updates are rounded by draws (kernels/stochastic_rounding.h). Not on a GPU
};

class ParameterStore final : public WeightSource, public GradientSink {
 public:
  /// @param weights base weights (and adapter weights) by id; those that train may be of any float type, and are
  /// copied.
  /// @param trainable which of them train.
  /// @param compute_dtype what the model reads trained weights in. One that comes in fp32 gives its master unrounded;
  /// without masters it is rounded to nearest once, here.
  ParameterStore(const ModelShape& shape, TensorMap weights, const std::vector<ParameterId>& trainable,
                 at::ScalarType compute_dtype = at::ScalarType::Float,
                 GradientStorage gradients = GradientStorage::kFloat, MasterStorage masters = MasterStorage::kFloat);

  /// Frozen projections whose weights are held quantised.
  void add_quantized(QuantizedMap weights);

  void prefetch(BlockId) override {}
  const BlockView& acquire(BlockId block) override;
  void release(BlockId) override {}
  [[nodiscard]] bool wants(const ParameterId& id) const override;
  void ready(const ParameterId& id, const at::Tensor& contribution, bool last_micro_batch) override;
  [[nodiscard]] GradientPlace borrow(const ParameterId& id) override;
  void written(const ParameterId& id, bool last_micro_batch) override;

  [[nodiscard]] std::vector<TrainableParameter>& parameters() { return parameters_; }
  [[nodiscard]] const std::vector<TrainableParameter>& parameters() const { return parameters_; }
  [[nodiscard]] int64_t num_trainable() const;  ///< elements
  [[nodiscard]] int64_t num_total() const;      ///< elements, adapters included, tied weights once
  [[nodiscard]] TensorMap all_weights() const;  ///< base weights with trained values, compute dtype
  /// Copies values into the masters (a checkpoint's, the best ones').
  /// @param values of any float type, every trained parameter. @throws Error(kData) naming one that is missing,
  /// misshapen or does not train.
  void load_trained(const TensorMap& values);
  /// One parameter's fp32 master, without a suffix: what the file of an adapter holds.
  [[nodiscard]] StateTensor master(size_t parameter) const;
  /// What a checkpoint needs beside the model's own files to go on: the fp32 master where those hold a rounded one.
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) const;

  /// Before they are saved. @throws Error(kRun) naming a trained parameter that holds a NaN or an infinity.
  void require_finite() const;

  void forget_gradients();    ///< before an update's first micro-batch; writes nothing
  void complete_gradients();  ///< after its last: what got no contribution becomes zero

 private:
  [[nodiscard]] TrainableParameter& parameter(const ParameterId& id);

  std::map<BlockId, BlockView> blocks_;
  TensorMap weights_;
  QuantizedMap quantized_;
  std::vector<TrainableParameter> parameters_;
  std::map<ParameterId, size_t> index_;
};

}  // namespace lathe
