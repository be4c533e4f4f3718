#pragma once
// AdamW with moments in 8 bits, as bitsandbytes' AdamW8bit under transformers' Trainer.
#include "engine/adamw.h"

namespace lathe {

/// Dettmers et al. 2022 (kernels/adamw_8bit.h): 2.03 bytes a parameter for both moments in place of 8. Not all
/// are in 8 bits (engine/moments_8bit.h). Decay as AdamW's. CPU alone.
class AdamW8bit final : public Optimizer {
 public:
  /// @param parameters have to outlive the optimizer; their masters are updated in place.
  AdamW8bit(std::vector<TrainableParameter>& parameters, AdamWOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  void update(size_t parameter, const UpdateStep& step) override;

  AdamWOptions options_;
  std::vector<ops::BlockwiseMoment> exp_avg_, exp_avg_sq_;
};

}  // namespace lathe
