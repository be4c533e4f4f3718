#pragma once
// Lion with its mean in 8 bits, as bitsandbytes' Lion8bit under transformers' Trainer.
#include "engine/lion.h"

namespace lathe {

/// As Lion; the mean of what is neither small nor an embedding takes 1.02 bytes a parameter in place of 4
/// (kernels/dynamic_map.h, config/optimizer_bytes.h). CPU alone.
class Lion8bit final : public Optimizer {
 public:
  Lion8bit(std::vector<TrainableParameter>& parameters, LionOptions options);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  void update(size_t parameter, const UpdateStep& step) override;

  LionOptions options_;
  std::vector<ops::BlockwiseMoment> exp_avg_;
};

}  // namespace lathe
