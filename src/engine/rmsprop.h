#pragma once
// RMSprop with torch's meaning.
#include "engine/optimizer.h"

namespace lathe {

struct RmspropOptions {
  double alpha = 0.99, epsilon = 1e-8, momentum = 0, weight_decay = 0;
  bool centered = false;
};

/// Hinton 2012 as torch.optim.RMSprop computes it: decay is added to the gradient; centered takes the square of the
/// gradient's mean from the mean of its square; momentum is of the quotients. bitsandbytes' 32-bit RMSprop is the same
/// with neither of the two.
class Rmsprop final : public Optimizer {
 public:
  Rmsprop(std::vector<TrainableParameter>& parameters, RmspropOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  void update(size_t parameter, const UpdateStep& step) override;

  RmspropOptions options_;
  std::vector<at::Tensor> square_avg_, grad_avg_, momentum_;  // the last two empty where they are not asked for
};

}  // namespace lathe
