#pragma once
// AdamW with torch's meaning.
#include "engine/optimizer.h"

namespace lathe {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  uint64_t rounding_seed = 0;  ///< of the draws that round weights without a master
};

/// Loshchilov & Hutter 2019 as torch.optim.AdamW computes it: decay is taken from the weights before the step, apart
/// from the gradient; moments in fp32. Parameters without `decay` (biases, norms) are never decayed.
class AdamW final : public Optimizer {
 public:
  /// @param parameters have to outlive the optimizer; their masters are updated in place.
  AdamW(std::vector<TrainableParameter>& parameters, AdamWOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  struct Moments {
    at::Tensor exp_avg, exp_avg_sq;  // fp32, the parameter's shape
  };
  void update(int64_t step, double learning_rate, double gradient_scale, const BeforeParameter& before) override;

  std::vector<TrainableParameter>& parameters_;
  AdamWOptions options_;
  std::vector<Moments> moments_;
};

}  // namespace lathe
