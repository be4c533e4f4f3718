#pragma once
// What an optimizer does to whole tensors, spread over threads in pieces of a fixed size: results do not depend on the
// number of threads.
#include <ATen/core/Tensor.h>

#include <functional>

#include "kernels/adamw.h"
#include "kernels/adamw_8bit.h"

namespace lathe::ops {

/// Sum of squares in double. @param x fp32|bf16, contiguous
[[nodiscard]] double sum_of_squares(const at::Tensor& x);

/// Weights that train. Those computed with in fp32 are their own master; those in bf16 have the rest of an fp32 master
/// beside them (kernels/split_master.h); on a GPU, where no kernel knows halves, the whole master, and so have those in
/// fp16. bf16 weights without a rest are all there is: their updates are rounded by draws. Contiguous.
struct MasterWeight {
  at::Tensor weight;  ///< what the model reads: fp32, bf16 or fp16
  at::Tensor rest;    ///< same shape: int16; fp32 on a GPU and with fp16; undefined with fp32 and without a master
};

/// What the draws of one parameter's rounding depend on, beside the element's place in it.
struct RoundingKey {
  uint64_t seed = 0;
  uint32_t parameter = 0;  ///< below 2^24
  int64_t step = 0;        ///< the optimizer's
};

/// Sets all of it. @param values fp32|bf16|fp16, same shape
void assign_master(const MasterWeight& master, const at::Tensor& values);
/// Elements [begin, begin + count) of the flattened master, fp32; a view where it is fp32 itself.
[[nodiscard]] at::Tensor read_master(const MasterWeight& master, int64_t begin, int64_t count);

/// One update (kernels/adamw.h); a narrow weight comes out rounded from its new master. All contiguous and of one
/// shape.
/// @param gradient fp32; with bf16 weights of a CPU bf16 too  @param exp_avg, exp_avg_sq fp32, updated in place
/// @param rounding of bf16 weights without a master, on a CPU
void adamw(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& exp_avg,
           const at::Tensor& exp_avg_sq, const kernels::AdamWStep& step, const RoundingKey& rounding = {});

/// A moment in 8 bits (kernels/adamw_8bit.h).
struct BlockwiseMoment {
  at::Tensor codes;   ///< uint8, the parameter's shape
  at::Tensor absmax;  ///< fp32, one for each kDynamicBlock elements begun
};
/// One update with such moments, on a CPU. All contiguous.  @param gradient as above
void adamw_8bit(const MasterWeight& master, const at::Tensor& gradient, const BlockwiseMoment& exp_avg,
                const BlockwiseMoment& exp_avg_sq, const kernels::AdamWStep& step);

/// Elements of a piece, but for the last one: its weights and gradients stay in the first cache.
inline constexpr int64_t kUpdatePiece = 4096;

/// A few thousand elements of one parameter, as a rule of update sees them.
struct UpdatePiece {
  int64_t begin = 0, count = 0;     ///< elements [begin, begin + count) of the flattened parameter; begin is a multiple
                                    ///< of kUpdatePiece
  float* weight = nullptr;          ///< [count] its master, to be changed in place
  const float* gradient = nullptr;  ///< [count] already multiplied by the gradient's scale
};

/// Calls body for all of a parameter, piece by piece, on several threads: for rules that look at one element alone and
/// are not worth a kernel. A narrow weight comes out rounded from its new master. On a CPU; all contiguous.
/// @param gradient fp32; with bf16 weights bf16 too
void update_in_pieces(const MasterWeight& master, const at::Tensor& gradient, double gradient_scale,
                      const std::function<void(const UpdatePiece&)>& body);

}  // namespace lathe::ops
