#pragma once
// Adam with weight decay in the gradient, which DeepSpeed's Adam is with adam_w_mode false.
#include "engine/adamw.h"

namespace lathe {

/// Kingma & Ba 2015 as torch.optim.Adam computes it: decay is added to the gradient, and with it to both moments.
class Adam final : public AdamMoments {
 public:
  Adam(std::vector<TrainableParameter>& parameters, AdamWOptions options) : AdamMoments(parameters, options) {}

 private:
  void update(size_t parameter, const UpdateStep& step) override;
};

}  // namespace lathe
