#pragma once
// AdEMAMix with bitsandbytes' meaning.
#include "engine/optimizer.h"

namespace lathe {

struct AdEMAMixOptions {
  double beta1 = 0.9, beta2 = 0.999, beta3 = 0.9999, alpha = 5, epsilon = 1e-8, weight_decay = 0;
  double t_alpha = 0, t_beta3 = 0;  ///< updates until alpha and beta3 are reached; 0: from the start
};

/// Pagliardini, Ablin & Grangier 2024 as bitsandbytes' 32-bit AdEMAMix computes it: AdamW with a second, slow mean of
/// the gradient (not corrected for its start) beside the first, and decay taken from the weights before the step.
class AdEMAMix final : public Optimizer {
 public:
  AdEMAMix(std::vector<TrainableParameter>& parameters, AdEMAMixOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  void update(size_t parameter, const UpdateStep& step) override;

  AdEMAMixOptions options_;
  std::vector<at::Tensor> exp_avg_, exp_avg_slow_, exp_avg_sq_;
};

}  // namespace lathe
