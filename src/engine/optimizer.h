#pragma once
// What a trainer asks of an optimizer, and gradient clipping with torch's meaning.
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/state_tensor.h"
#include "engine/trainable.h"

namespace lathe {

/// sqrt of the sum of squares of all gradients, added up in double. NaN or infinity when a gradient holds one.
[[nodiscard]] double gradient_norm(const std::vector<TrainableParameter>& parameters);

/// What gradients are multiplied by so that their norm is at most max_norm: max_norm / (norm + 1e-6), at most 1, as
/// torch.nn.utils.clip_grad_norm_. max_norm <= 0: 1.
[[nodiscard]] double clip_coefficient(double norm, double max_norm);

/// Called with each parameter's index before anything of it changes (a checkpoint may be reading it).
using BeforeParameter = std::function<void(size_t)>;

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One update of all parameters with that rate. @param gradient_scale multiplies every gradient first (clipping).
  void step(double learning_rate, double gradient_scale = 1, const BeforeParameter& before = nullptr);

  /// What it keeps of one parameter between steps; for checkpoints.
  [[nodiscard]] virtual std::vector<StateTensor> state(size_t parameter) = 0;
  [[nodiscard]] int64_t num_steps() const { return num_steps_; }
  void set_num_steps(int64_t steps) { num_steps_ = steps; }

 protected:
  /// @param step t, 1 at the first update  @param before to be called by every implementation; may be empty
  virtual void update(int64_t step, double learning_rate, double gradient_scale, const BeforeParameter& before) = 0;

 private:
  int64_t num_steps_ = 0;
};

}  // namespace lathe
