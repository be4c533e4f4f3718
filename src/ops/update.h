#pragma once
// What an optimizer does to whole tensors, spread over threads in pieces of a fixed size: results do not depend on the
// number of threads.
#include <ATen/core/Tensor.h>

#include "kernels/adamw.h"

namespace lathe::ops {

/// Sum of squares in double. @param x fp32|bf16, contiguous
[[nodiscard]] double sum_of_squares(const at::Tensor& x);

/// Weights that train. Those computed with in fp32 are their own master; those in bf16 have the rest of an fp32 master
/// beside them (kernels/split_master.h); on a GPU, where no kernel knows halves, the whole master. bf16 weights without
/// a rest are all there is: their updates are rounded by draws. Contiguous.
struct MasterWeight {
  at::Tensor weight;  ///< what the model reads: fp32, or bf16
  at::Tensor rest;    ///< same shape: int16; fp32 on a GPU; undefined with fp32 weights and without a master
};

/// What the draws of one parameter's rounding depend on, beside the element's place in it.
struct RoundingKey {
  uint64_t seed = 0;
  uint32_t parameter = 0;  ///< below 2^24
  int64_t step = 0;        ///< the optimizer's
};

/// Sets all of it. @param values fp32|bf16|fp16, same shape
void assign_master(const MasterWeight& master, const at::Tensor& values);
/// Elements [begin, begin + count) of the flattened master, fp32; a view where it is fp32 itself. There has to be one.
[[nodiscard]] at::Tensor read_master(const MasterWeight& master, int64_t begin, int64_t count);

/// One update (kernels/adamw.h); a bf16 weight comes out rounded from its new master. All contiguous and of one shape.
/// @param gradient fp32; with bf16 weights of a CPU bf16 too  @param exp_avg, exp_avg_sq fp32, updated in place
/// @param rounding of bf16 weights without a master, on a CPU
void adamw(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& exp_avg,
           const at::Tensor& exp_avg_sq, const kernels::AdamWStep& step, const RoundingKey& rounding = {});

}  // namespace lathe::ops
