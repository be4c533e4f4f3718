#pragma once
// The gradient of an embedding table: rows of tokens that occur, and no others.
//
// T tokens, V vocabulary, H hidden.
#include <ATen/core/Tensor.h>

namespace lathe::ops {

/// into[ids[t]] += rows[t]. A token's rows are added up in fp32 first: however often it occurs, its row is rounded
/// once.
/// @param ids [T] int32 or int64  @param rows [T,H] fp32|bf16  @param into [V,H] fp32|bf16
/// @param add false: into is set to zero first
void embedding_gradient(const at::Tensor& ids, const at::Tensor& rows, const at::Tensor& into, bool add);

}  // namespace lathe::ops
