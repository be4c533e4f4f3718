#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lathe {

struct DropoutKey;

/// NEFTune (Jain et al. 2023) as transformers adds it to the embeddings in training: uniform noise of at most
/// alpha / sqrt(L · H), where L is the batch's longest row. The draws are Philox's at the element's place, so they
/// depend on key alone.
/// @param hidden [T,H], fp32|bf16, contiguous; added to in place
void add_neftune_noise(at::Tensor& hidden, double alpha, int64_t longest_row, const DropoutKey& key);

}  // namespace lathe
