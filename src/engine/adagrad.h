#pragma once
// Adagrad with torch's meaning.
#include "engine/optimizer.h"

namespace lathe {

struct AdagradOptions {
  double lr_decay = 0, epsilon = 1e-10, weight_decay = 0;
};

/// Duchi, Hazan & Singer 2011 as torch.optim.Adagrad computes it: decay is added to the gradient, the squares are
/// summed in fp32 from zero, and the rate is divided by 1 + (t - 1) · lr_decay.
class Adagrad final : public Optimizer {
 public:
  Adagrad(std::vector<TrainableParameter>& parameters, AdagradOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  void update(size_t parameter, const UpdateStep& step) override;

  AdagradOptions options_;
  std::vector<at::Tensor> sum_;
};

}  // namespace lathe
