#pragma once
// The two interfaces through which the model meets its weights. The model owns them; the engine implements them, so
// how weights are spread, offloaded or stored is none of the model's business (docs/architecture.md).
#include <ATen/core/Tensor.h>

#include <array>
#include <memory>

#include "model/parameter.h"
#include "ops/quantized_weight.h"

namespace lathe {

/// The weights of one block as acquire() hands them out. Undefined tensors are absent parts, or quantised weights.
/// Dense weights: [out, in]; biases and norms [out]; adapters A [r, in], B [out, r]: all in the run's compute dtype.
class BlockView {
 public:
  [[nodiscard]] const at::Tensor& get(Site site, Part part = Part::kWeight) const {
    return tensors_[static_cast<size_t>(site)][static_cast<size_t>(part)];
  }
  void set(Site site, Part part, at::Tensor tensor) {
    tensors_[static_cast<size_t>(site)][static_cast<size_t>(part)] = std::move(tensor);
  }

  /// A projection's weight, however it is stored.
  [[nodiscard]] ops::WeightView weight(Site site) const {
    return {get(site), quantized_[static_cast<size_t>(site)].get()};
  }
  void set_quantized(Site site, std::shared_ptr<const ops::QuantizedWeight> weight) {
    quantized_[static_cast<size_t>(site)] = std::move(weight);
  }

 private:
  std::array<std::array<at::Tensor, kNumParts>, kNumSites> tensors_;
  std::array<std::shared_ptr<const ops::QuantizedWeight>, kNumSites> quantized_;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// A hint that block is wanted soon; returns at once.
  virtual void prefetch(BlockId block) = 0;
  /// The block's weights, valid until release(block). Blocks until they are there. A head that is tied to the
  /// embedding gives the embedding's tensor as kLmHead's weight.
  [[nodiscard]] virtual const BlockView& acquire(BlockId block) = 0;
  virtual void release(BlockId block) = 0;
};

/// Where a large gradient is added up.
struct GradientPlace {
  at::Tensor tensor;   ///< the parameter's shape, fp32 or the compute dtype
  bool fresh = false;  ///< nothing was written yet: what it holds is to be overwritten, not added to
};

class GradientSink {
 public:
  virtual ~GradientSink() = default;
  /// Whether a gradient of this parameter is wanted at all. Nothing is computed for parameters that are not.
  [[nodiscard]] virtual bool wants(const ParameterId& id) const = 0;
  /// One contribution to the gradient of a parameter, same shape as the parameter, fp32 or the compute dtype; the sink
  /// adds it up. Called once a micro-batch for each end that gives one (tied weights: twice: as kEmbedTokens
  /// from both ends). last_micro_batch: no later micro-batch of this update will contribute.
  virtual void ready(const ParameterId& id, const at::Tensor& contribution, bool last_micro_batch) = 0;
  /// The same in two calls, for matrices that should not exist twice: whoever borrows the place writes all of it when
  /// it is fresh, adds to it when it is not, and says so with written().
  [[nodiscard]] virtual GradientPlace borrow(const ParameterId& id) = 0;
  virtual void written(const ParameterId& id, bool last_micro_batch) = 0;
};

}  // namespace lathe
