#pragma once
// Lion with bitsandbytes' meaning.
#include "engine/optimizer.h"
#include "kernels/update_rules.h"

namespace lathe {

struct LionOptions {
  double beta1 = 0.9, beta2 = 0.99, weight_decay = 0;
};

/// The numbers of one update.
[[nodiscard]] kernels::LionStep lion_step(const LionOptions& options, const UpdateStep& step);

/// Chen et al. 2023 as bitsandbytes' 32-bit Lion computes it: a step of the rate's length in the sign of
/// beta1 · mean + (1 - beta1) · gradient (none where that is zero), after a decay apart from it; then the mean moves by
/// beta2.
class Lion final : public Optimizer {
 public:
  Lion(std::vector<TrainableParameter>& parameters, LionOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  void update(size_t parameter, const UpdateStep& step) override;

  LionOptions options_;
  std::vector<at::Tensor> exp_avg_;
};

}  // namespace lathe
