#pragma once
// RMS normalisation of rows (Zhang & Sennrich 2019), rounded where transformers' Qwen2RMSNorm rounds: statistics and
// scaling in fp32, the scaled row rounded to the input's type, the product with the weight rounded again.
//
// N rows, H elements a row, all contiguous. Single-threaded; safe to call concurrently on disjoint rows. Nothing is
// allocated. NaN and infinity in a row reach that row's results. Plain version: kernels/reference/rms_norm.h.
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::kernels {

/// y = x / sqrt(mean(x²) + epsilon) · weight.
/// @param x [N,H]  @param weight [H]  @param y out: [N,H], may be x  @param rstd out: [N], kept for backward; may be
/// null
void rms_norm(const float* x, const float* weight, float* y, float* rstd, int64_t rows, int64_t width, float epsilon);
void rms_norm(const Bf16* x, const Bf16* weight, Bf16* y, float* rstd, int64_t rows, int64_t width, float epsilon);
void rms_norm(const F16* x, const F16* weight, F16* y, float* rstd, int64_t rows, int64_t width, float epsilon);

/// @param dy, x [N,H]  @param weight [H]  @param rstd [N] of the forward
/// @param dx out: [N,H], may be dy; null: not computed
/// @param dweight [H] fp32, added to; null: not computed. Calls on several row ranges need one each.
void rms_norm_backward(const float* dy, const float* x, const float* weight, const float* rstd, float* dx,
                       float* dweight, int64_t rows, int64_t width);
void rms_norm_backward(const Bf16* dy, const Bf16* x, const Bf16* weight, const float* rstd, Bf16* dx, float* dweight,
                       int64_t rows, int64_t width);
void rms_norm_backward(const F16* dy, const F16* x, const F16* weight, const float* rstd, F16* dx, float* dweight,
                       int64_t rows, int64_t width);

}  // namespace lathe::kernels
