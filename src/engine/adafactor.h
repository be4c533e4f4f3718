#pragma once
// Adafactor with transformers' meaning.
#include "engine/optimizer.h"

namespace lathe {

/// Shazeer & Stern 2018 as transformers' Adafactor computes it where the Trainer makes it: the rate is the schedule's
/// (relative_step and scale_parameter false), without a first moment; eps 1e-30, clip_threshold 1, decay_rate -0.8. Of
/// a matrix's squares a mean for each row and each column is kept, of a vector's all. Decay is taken from the weights.
class Adafactor final : public Optimizer {
 public:
  Adafactor(std::vector<TrainableParameter>& parameters, double weight_decay);
  [[nodiscard]] std::vector<StateTensor> state(size_t parameter) override;

 private:
  struct Squares {
    at::Tensor rows, columns;  // of a matrix, fp32
    at::Tensor all;            // of a vector, fp32
  };
  void update(size_t parameter, const UpdateStep& step) override;

  std::vector<Squares> squares_;
};

}  // namespace lathe
