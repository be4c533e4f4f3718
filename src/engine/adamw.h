#pragma once
// AdamW with torch's meaning.
#include "engine/optimizer.h"

namespace lathe {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  uint64_t rounding_seed = 0;  ///< of the draws that round weights without a master
};

/// What Adam and AdamW keep: two fp32 moments of each parameter.
class AdamMoments : public Optimizer {
 public:
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) final;

 protected:
  AdamMoments(std::vector<TrainableParameter>& parameters, AdamWOptions options);

  AdamWOptions options_;
  std::vector<at::Tensor> exp_avg_, exp_avg_sq_;
};

/// Loshchilov & Hutter 2019 as torch.optim.AdamW computes it: decay is taken from the weights before the step, apart
/// from the gradient; moments in fp32. bitsandbytes' 32-bit AdamW is the same update: it has learning rate and epsilon
/// multiplied by what torch divides the root by. Parameters without `decay` (biases, norms) are never decayed.
class AdamW final : public AdamMoments {
 public:
  /// @param parameters have to outlive the optimizer; their masters are updated in place.
  AdamW(std::vector<TrainableParameter>& parameters, AdamWOptions options) : AdamMoments(parameters, options) {}

 private:
  void update(size_t parameter, const UpdateStep& step) override;
};

}  // namespace lathe
