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

/// The numbers of one update of one parameter.
struct UpdateStep {
  int64_t step = 1;  ///< t, 1 at the first update
  double learning_rate = 0;
  double weight_decay = 0;    ///< 0 for parameters without decay
  double gradient_scale = 1;  ///< multiplies every gradient first (clipping)
};

class Optimizer {
 public:
  /// @param parameters have to outlive the optimizer; their masters are updated in place.
  Optimizer(std::vector<TrainableParameter>& parameters, double weight_decay)
      : parameters_(parameters), weight_decay_(weight_decay) {}
  virtual ~Optimizer() = default;

  /// One update of all parameters with that rate (each times its own TrainableParameter::rate).
  /// @param gradient_scale multiplies every gradient first (clipping)
  void step(double learning_rate, double gradient_scale = 1, const BeforeParameter& before = nullptr);

  /// What it keeps of one parameter between steps; for checkpoints.
  [[nodiscard]] virtual std::vector<StateTensor> state(size_t parameter) = 0;
  [[nodiscard]] int64_t num_steps() const { return num_steps_; }
  void set_num_steps(int64_t steps) { num_steps_ = steps; }

 protected:
  virtual void update(size_t parameter, const UpdateStep& step) = 0;

  [[nodiscard]] const std::vector<TrainableParameter>& parameters() const { return parameters_; }
  /// One fp32 tensor of zeros for each parameter, of its shape.
  [[nodiscard]] std::vector<at::Tensor> make_state() const;

 private:
  std::vector<TrainableParameter>& parameters_;
  double weight_decay_;
  int64_t num_steps_ = 0;
};

}  // namespace lathe
