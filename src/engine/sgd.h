#pragma once
// Stochastic gradient descent with torch's meaning.
#include "engine/optimizer.h"

namespace lathe {

struct SgdOptions {
  double momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
};

/// torch.optim.SGD: decay is added to the gradient; the mean of the gradients starts as the first of them, undamped.
/// Without momentum nothing is kept.
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<TrainableParameter>& parameters, SgdOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  void update(size_t parameter, const UpdateStep& step) override;

  SgdOptions options_;
  std::vector<at::Tensor> momentum_;  // empty without momentum
};

}  // namespace lathe
