#pragma once
// One update of one parameter by Adafactor (Shazeer & Stern 2018) as transformers computes it without relative steps,
// scaled parameters and a first moment. Sums are in double and in an order of their own: results do not depend on the
// number of threads. On a CPU.
#include "ops/update.h"

namespace lathe::ops {

struct AdafactorStep {
  double learning_rate = 0, weight_decay = 0;
  double gradient_scale = 1;  ///< multiplies every gradient first (clipping)
  double beta2 = 0;           ///< decay of the squares: 1 - t^decay_rate
  double epsilon = 1e-30;     ///< added to every square
  double clip_threshold = 1;  ///< largest root mean square of an update before the rate
};

/// @param master, gradient [R,C], contiguous; gradient fp32, with bf16 weights bf16 too
/// @param rows, columns [R], [C] fp32: decayed means of the squares, updated in place
void adafactor_matrix(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& rows,
                      const at::Tensor& columns, const AdafactorStep& step);

/// @param squares fp32, the parameter's shape: decayed squares, updated in place
void adafactor_vector(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& squares,
                      const AdafactorStep& step);

}  // namespace lathe::ops
